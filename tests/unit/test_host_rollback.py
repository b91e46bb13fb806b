"""Rollbacks after an unhealthy release, a killed run or a reboot, and the shorter watch of a known release."""

from __future__ import annotations

from pathlib import Path

import pytest

from host import deployment, resume
from host.errors import ReleaseError
from tests.unit.host_server import WATCH_SECONDS, FakeServer, die_after


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    return FakeServer(tmp_path, monkeypatch)


@pytest.mark.parametrize("killed_after", ["unpack", "start", "first link", "second link", "verify"])
def test_the_run_after_a_killed_run_completes_the_release(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, killed_after: str
):
    first, second = server.upload("one"), server.upload("two")
    server.release(first)
    with monkeypatch.context() as patch:
        die_after(patch, killed_after)
        with pytest.raises(SystemError):
            server.release(second)
    server.release(second)
    assert server.page() == "two"
    assert len(server.active) == 1


def test_after_a_reboot_the_current_release_is_started(server: FakeServer):
    digest = server.upload("one")
    server.release(digest)
    server.active.clear()
    server.calls.clear()
    server.paths.socket.unlink()
    server.paths.socket.symlink_to("/run/gantry/another.sock")  # a run was killed between the two links
    resume.resume(server.paths)
    assert server.calls == [f"start {digest}"]
    assert server.page() == "one"


def test_a_release_whose_watch_was_killed_is_watched_again_and_rolled_back_if_it_is_unhealthy(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    first, second = server.upload("one"), server.upload("two")
    server.release(first)
    with monkeypatch.context() as patch:
        die_after(patch, "verify")
        with pytest.raises(SystemError):
            server.release(second)
    assert server.page() == "two"
    server.errors["watch"] = "it is unhealthy"
    message = "it is unhealthy\nlast lines\nthe server rolled back: the previous release serves again"
    with pytest.raises(ReleaseError, match=message):
        server.release(second)
    assert server.page() == "one"
    assert "drain" not in " ".join(server.calls)


def test_a_release_that_passed_its_watch_before_is_watched_for_a_shorter_time(server: FakeServer):
    first, second = server.upload("one"), server.upload("two")
    seconds: list[float] = []
    for digest in (first, second, first, second):
        server.release(digest)
        seconds.append(server.watch_seconds)
    assert seconds == [WATCH_SECONDS, WATCH_SECONDS, 2, 2]
    server.release(first, COLOUR="blue")
    assert server.watch_seconds == WATCH_SECONDS


def test_a_release_whose_packages_are_installed_again_is_watched_in_full(server: FakeServer):
    first, second = server.upload("one"), server.upload("two", requirements="django")
    server.release(first)
    server.release(second)
    (server.paths.venv_marks / server.venv("flask").name).unlink()
    server.release(first)
    assert server.watch_seconds == WATCH_SECONDS


def test_a_release_that_was_unhealthy_is_watched_in_full_until_it_passes(server: FakeServer):
    first, second = server.upload("one"), server.upload("two")
    server.release(first)
    server.release(second)
    server.errors["watch"] = "it is unhealthy"
    with pytest.raises(ReleaseError):
        server.release(first)
    server.errors.clear()
    seconds: list[float] = []
    for digest in (first, second, first):
        server.release(digest)
        seconds.append(server.watch_seconds)
    assert seconds == [WATCH_SECONDS, 2, 2]


def test_a_reboot_during_a_watch_starts_the_proven_release(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    server.release(server.upload("one"))
    with monkeypatch.context() as patch:
        die_after(patch, "verify")
        with pytest.raises(SystemError):
            server.release(server.upload("two"))
    server.active.clear()
    resume.resume(server.paths)
    assert server.page() == "one"


def test_an_unhealthy_release_keeps_serving_if_the_old_one_does_not_start_any_more(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    server.release(server.upload("one"))
    server.errors["watch"] = "it is unhealthy"

    def fail_after_the_watch(name: str) -> None:
        server.errors.update({"start": "gone"} if "check watch" in server.calls else {})
        server.start(name)

    monkeypatch.setattr(deployment, "start", fail_after_the_watch)
    with pytest.raises(ReleaseError, match="the new release still serves"):
        server.release(server.upload("two"))
    assert server.page() == "two"
