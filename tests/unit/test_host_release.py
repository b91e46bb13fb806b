from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from host import history, processes, release, state, volume_removal
from host.errors import ReleaseError
from tests.unit.host_server import FakeServer, die_after, options


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    return FakeServer(tmp_path, monkeypatch)


def test_a_release_is_started_checked_and_watched_before_the_old_one_is_drained(server: FakeServer):
    first, second = server.upload("one"), server.upload("two")
    server.release(first)
    server.release(second)
    assert server.calls == [
        f"start {second}",
        "check socket",
        "check candidate",
        "check nginx",
        "check watch",
        f"drain {first}",
    ]
    assert server.page() == "two"


def test_a_release_that_already_serves_is_not_started_again(server: FakeServer, capsys: pytest.CaptureFixture[str]):
    digest = server.upload("one")
    server.release(digest)
    server.release(digest)
    assert server.calls == ["check site"]
    assert "is serving already" in capsys.readouterr().out


def test_a_changed_variable_makes_a_new_deployment(server: FakeServer):
    digest = server.upload("one")
    server.release(digest, COLOUR="red")
    server.release(digest, COLOUR="blue")
    assert server.calls == [
        f"start {digest}",
        "check socket",
        "check candidate",
        "check nginx",
        "check watch",
        f"drain {digest}",
    ]


@pytest.mark.parametrize("step", ["venv", "start", "socket", "candidate", "nginx", "watch"])
def test_after_a_failure_in_any_step_the_old_release_serves_and_the_new_one_is_removed(server: FakeServer, step: str):
    first, second = server.upload("one"), server.upload("two")
    server.release(first)
    server.errors[step] = "a fault"
    with pytest.raises(ReleaseError, match="a fault"):
        server.release(second)
    assert server.page() == "one"
    served = step in ("nginx", "watch")
    assert server.calls[-1] == f"{'stop' if served else 'kill'} {second}"
    assert [path.name for path in server.paths.releases.iterdir()] == [first]
    assert [path.name for path in server.paths.deployments.iterdir()] == [state.current(server.paths)]
    assert state.current(server.paths) == next(iter(server.active))


@pytest.mark.parametrize("step", ["venv", "start", "socket", "candidate", "nginx", "watch"])
def test_a_first_release_that_fails_leaves_the_placeholder(server: FakeServer, step: str):
    server.errors[step] = "a fault"
    with pytest.raises(ReleaseError):
        server.release(server.upload("one"))
    assert not server.paths.socket.is_symlink()
    assert state.current(server.paths) is None


def test_the_rollback_of_a_failed_release_is_a_phase_of_its_entry(server: FakeServer):
    server.release(server.upload("one"))
    server.errors["watch"] = "a fault"
    with pytest.raises(ReleaseError):
        server.release(server.upload("two"))
    entry = history.last_entries(server.paths, 1)[0]
    assert list(entry["phases"])[-2:] == ["watch", "rollback"]
    assert entry["result"] == "rolled back"


def with_processes(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record the calls of the functions that run workers and timers."""
    for name in ("prepare", "start"):
        monkeypatch.setattr(processes, name, lambda *_, name=name, **__: server.check(f"processes {name}"))
    for name in ("drain", "stop", "roll_back"):
        monkeypatch.setattr(processes, name, lambda *_, name=name: server.calls.append(f"processes {name}"))


def test_processes_are_prepared_before_the_app_starts_and_started_once_it_serves(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    with_processes(server, monkeypatch)
    digest = server.upload("one")
    server.release(digest)
    before = [
        "check processes prepare",
        f"start {digest}",
        "check socket",
        "check candidate",
        "check nginx",
        "check watch",
    ]
    assert server.calls == [*before, "check processes start", "processes drain"]
    server.release(digest)
    assert server.calls == ["check site", "check processes start", "processes drain"]


@pytest.mark.parametrize("step", ["processes prepare", "processes start"])
def test_when_a_process_fails_the_old_release_keeps_serving_with_its_own_processes(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, step: str
):
    with_processes(server, monkeypatch)
    first, second = server.upload("one"), server.upload("two")
    server.release(first)
    server.errors[step] = "a fault"
    with pytest.raises(ReleaseError, match="a fault"):
        server.release(second)
    assert server.page() == "one"
    served = step == "processes start"
    assert server.calls[-2:] == ["processes stop", f"{'stop' if served else 'kill'} {second}"]
    assert ("processes roll_back" in server.calls) == served
    assert "processes drain" not in server.calls


def test_the_error_of_an_unhealthy_release_ends_with_the_last_lines_of_its_journal(server: FakeServer):
    server.errors["socket"] = "unhealthy"
    with pytest.raises(ReleaseError, match="unhealthy\nlast lines"):
        server.release(server.upload("one"))


def test_the_error_before_the_switch_says_what_serves_and_the_history_does_not(server: FakeServer):
    server.errors["socket"] = "unhealthy"
    with pytest.raises(ReleaseError, match=r"\nno release serves: visitors get 503 with Retry-After$"):
        server.release(server.upload("one"))
    server.errors.clear()
    server.release(first := server.upload("one"))
    server.errors["socket"] = "unhealthy"
    with pytest.raises(ReleaseError, match=rf"\nrelease {first} still serves$"):
        server.release(server.upload("two"))
    assert history.last_entries(server.paths, 1)[0]["reason"] == "unhealthy"


def test_a_failed_change_of_a_variable_keeps_the_code_of_the_serving_release(server: FakeServer):
    digest = server.upload("one")
    server.release(digest)
    server.upload("one")  # as after a run that was killed before it pruned
    server.errors["socket"] = "unhealthy"
    with pytest.raises(ReleaseError):
        server.release(digest, COLOUR="blue")
    assert server.page() == "one"


def test_a_deployment_keeps_the_gunicorn_settings_that_it_was_tested_with(server: FakeServer):
    server.release(server.upload("one"))
    server.paths.gunicorn_settings.write_text("workers = 9\n")
    copy = server.paths.deployments / next(iter(server.active)) / "gunicorn.conf.py"
    assert copy.read_text() == "workers = 1\n"


def test_without_a_watch_the_release_is_not_watched(server: FakeServer):
    digest = server.upload("one")
    server.calls.clear()
    release.release(server.paths, options(digest))
    assert server.calls == [f"start {digest}", "check socket", "check candidate", "check nginx"]


def test_the_history_has_the_result_and_the_reason_of_each_release(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    first, second = server.upload("one"), server.upload("two")
    server.release(first)
    server.release(first)
    for step in ("socket", "watch"):
        server.errors = {step: f"{step} is bad"}
        with pytest.raises(ReleaseError):
            server.release(second)
    server.errors = {}
    with monkeypatch.context() as patch:
        die_after(patch, "start")
        patch.setattr(history, "_append", lambda *_: None)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(SystemError):
            server.release(second)
    server.release(second)
    entries = history.last_entries(server.paths, 10)
    assert [(entry["result"], entry["reason"]) for entry in entries] == [
        ("serving", None),
        ("unchanged", None),
        ("failed", "socket is bad"),
        ("rolled back", "watch is bad"),
        ("interrupted", None),
        ("serving", None),
    ]
    phases = ["lock", "space", "unpack", "venv", "start", "check", "switch", "verify", "watch", "drain", "prune"]
    assert list(entries[0]["phases"]) == phases


@pytest.mark.parametrize("step", ["", "venv", "socket", "nginx", "watch"])
def test_a_volume_is_given_up_after_the_long_steps_and_taken_back_if_the_release_fails(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, step: str
):
    @contextmanager
    def given_up(_: object) -> Generator[None]:
        assert (server.paths.releases / second).is_dir()
        server.calls.append("give up")
        try:
            yield
        except ReleaseError:
            server.calls.append("take back")
            raise

    first, second = server.upload("one"), server.upload("two")
    server.release(first)
    monkeypatch.setattr(volume_removal, "is_due", lambda *_, **__: True)
    monkeypatch.setattr(volume_removal, "given_up", given_up)
    if step:
        server.errors[step] = "a fault"
        with pytest.raises(ReleaseError, match=rf"a fault(?s:.*)\nrelease {first} still serves"):
            server.release(second)
        assert [path.name for path in server.paths.releases.iterdir()] == [first]
    else:
        server.release(second)
        assert server.calls[:2] == ["give up", f"start {second}"]
    assert ("give up" in server.calls) == (step != "venv")
    assert ("take back" in server.calls) == (step not in ("", "venv"))


def test_a_release_that_serves_already_starts_again_when_its_volume_is_given_up(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    digest = server.upload("one")
    server.release(digest)
    monkeypatch.setattr(volume_removal, "is_due", lambda *_, **__: True)
    monkeypatch.setattr(volume_removal, "given_up", lambda _: nullcontext())
    server.release(digest)
    assert server.calls[0] == f"start {digest}"
    assert server.page() == "one"


def test_a_refused_end_of_the_volume_changes_nothing(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    first, second = server.upload("one"), server.upload("two")
    server.release(first)
    monkeypatch.setattr(volume_removal.volume, "is_configured", lambda _: True)
    with pytest.raises(ReleaseError, match="the setting storage is gone"):
        server.release(second)
    assert server.calls == []
