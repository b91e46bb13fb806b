from __future__ import annotations

from pathlib import Path

import pytest

from host import environment, release, web
from host.errors import ReleaseError
from tests.unit.host_machine import WATCH_SECONDS, Machine, die_after


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize("killed_after", ["unpack", "start", "first link", "second link", "verify"])
def test_a_run_that_was_killed_anywhere_is_made_good_by_the_next(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, killed_after: str
):
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    with monkeypatch.context() as patch:
        die_after(patch, killed_after)
        with pytest.raises(SystemError):
            machine.release(second)
    machine.release(second)
    assert machine.page() == "two"
    assert len(machine.active) == 1


def test_after_a_reboot_the_current_release_is_started(machine: Machine):
    digest = machine.upload("one")
    machine.release(digest)
    machine.active.clear()
    machine.calls.clear()
    machine.paths.socket.unlink()
    machine.paths.socket.symlink_to("/run/gantry/another.sock")  # killed between the two links
    release.resume(machine.paths)
    assert machine.calls == [f"start {digest}"]
    assert machine.page() == "one"


def test_one_whose_watch_was_killed_is_watched_again_and_taken_back_when_it_is_bad(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    with monkeypatch.context() as patch:
        die_after(patch, "verify")
        with pytest.raises(SystemError):
            machine.release(second)
    assert machine.page() == "two"
    machine.refuse["watch"] = "it turned bad"
    with pytest.raises(ReleaseError, match="it turned bad\nlast words\nwhat served before serves again"):
        machine.release(second)
    assert machine.page() == "one"
    assert "retire" not in " ".join(machine.calls)


def test_a_release_that_is_gone_back_to_as_it_was_is_watched_for_a_shorter_time(machine: Machine):
    first, second = machine.upload("one"), machine.upload("two")
    watched: list[float] = []
    for digest in (first, second, first, second):
        machine.release(digest)
        watched.append(machine.watched)
    assert watched == [WATCH_SECONDS, WATCH_SECONDS, 2, 2]
    machine.release(first, COLOUR="blue")
    assert machine.watched == WATCH_SECONDS


def test_packages_that_are_installed_anew_are_watched_as_something_new(machine: Machine):
    first, second = machine.upload("one"), machine.upload("two", needs="django")
    machine.release(first)
    machine.release(second)
    (machine.venv("flask") / environment.MARK).unlink()
    machine.release(first)
    assert machine.watched == WATCH_SECONDS


def test_a_release_that_has_been_bad_is_watched_in_full_until_it_has_stood_that(machine: Machine):
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    machine.release(second)
    machine.refuse["watch"] = "it turned bad"
    with pytest.raises(ReleaseError):
        machine.release(first)
    machine.refuse.clear()
    watched: list[float] = []
    for digest in (first, second, first):
        machine.release(digest)
        watched.append(machine.watched)
    assert watched == [WATCH_SECONDS, 2, 2]


def test_a_reboot_during_a_watch_goes_back_to_what_was_proven(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    machine.release(machine.upload("one"))
    with monkeypatch.context() as patch:
        die_after(patch, "verify")
        with pytest.raises(SystemError):
            machine.release(machine.upload("two"))
    machine.active.clear()
    release.resume(machine.paths)
    assert machine.page() == "one"


def test_when_the_old_release_does_not_start_any_more_the_new_one_stays(machine: Machine):
    machine.release(machine.upload("one"))
    machine.refuse["watch"] = "it turned bad"
    start = machine.start

    def refuse_the_old(name: str) -> None:
        machine.refuse.update({"start": "gone"} if "ask watch" in machine.calls else {})
        start(name)

    machine.start = refuse_the_old
    web.start = refuse_the_old
    with pytest.raises(ReleaseError, match="the new release still serves"):
        machine.release(machine.upload("two"))
    assert machine.page() == "two"


def test_the_code_of_a_serving_release_stays_when_it_fails_with_other_variables(machine: Machine):
    digest = machine.upload("one")
    machine.release(digest)
    machine.upload("one")
    machine.refuse["socket"] = "unhealthy"
    with pytest.raises(ReleaseError):
        machine.release(digest, COLOUR="blue")
    assert machine.page() == "one"
