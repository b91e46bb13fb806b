from __future__ import annotations

from pathlib import Path

import pytest

from host import history, processes, release, serving, web
from host.errors import ReleaseError
from tests.unit.host_machine import HEALTH, Machine, die_after


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_release_is_started_asked_switched_to_and_asked_again_before_the_old_one_is_retired(machine: Machine):
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    machine.release(second)
    assert machine.calls == [f"start {second}", "ask socket", "ask nginx", "ask watch", f"retire {first}"]
    assert machine.page() == "two"


def test_the_release_that_serves_already_is_left_alone(machine: Machine, capsys: pytest.CaptureFixture[str]):
    digest = machine.upload("one")
    machine.release(digest)
    machine.release(digest)
    assert machine.calls == ["ask site"]
    assert "is serving already" in capsys.readouterr().out


def test_a_changed_variable_alone_is_an_instance_of_its_own(machine: Machine):
    digest = machine.upload("one")
    machine.release(digest, COLOUR="red")
    machine.release(digest, COLOUR="blue")
    assert machine.calls == [f"start {digest}", "ask socket", "ask nginx", "ask watch", f"retire {digest}"]


@pytest.mark.parametrize("step", ["environment", "start", "socket", "nginx", "watch"])
def test_whatever_fails_the_old_release_serves_and_the_new_one_is_taken_away(machine: Machine, step: str):
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    machine.refuse[step] = "no such luck"
    with pytest.raises(ReleaseError, match="no such luck"):
        machine.release(second)
    assert machine.page() == "one"
    assert machine.calls[-1] == f"discard {second}"
    assert [path.name for path in machine.paths.releases.iterdir()] == [first]
    assert serving.current(machine.paths) == next(iter(machine.active))


@pytest.mark.parametrize("step", ["environment", "start", "socket", "nginx", "watch"])
def test_a_first_release_that_fails_leaves_the_placeholder(machine: Machine, step: str):
    machine.refuse[step] = "no such luck"
    with pytest.raises(ReleaseError):
        machine.release(machine.upload("one"))
    assert not machine.paths.socket.is_symlink()
    assert serving.current(machine.paths) is None


def with_processes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prepare", "start"):
        monkeypatch.setattr(processes, name, lambda *_, name=name: machine.ask(f"processes {name}"))
    for name in ("retire", "discard", "go_back"):
        monkeypatch.setattr(processes, name, lambda *_, name=name: machine.calls.append(f"processes {name}"))


def test_processes_are_prepared_before_the_app_starts_and_started_when_it_serves(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    with_processes(machine, monkeypatch)
    digest = machine.upload("one")
    machine.release(digest)
    asked = ["ask processes prepare", f"start {digest}", "ask socket", "ask nginx"]
    assert machine.calls == [*asked, "ask watch", "ask processes start", "processes retire"]
    machine.release(digest)
    assert machine.calls == ["ask site", "ask processes start", "processes retire"]


@pytest.mark.parametrize("step", ["processes prepare", "processes start"])
def test_processes_that_fail_leave_the_old_release_serving_with_its_own(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, step: str
):
    with_processes(machine, monkeypatch)
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    machine.refuse[step] = "no such luck"
    with pytest.raises(ReleaseError, match="no such luck"):
        machine.release(second)
    assert machine.page() == "one"
    assert machine.calls[-2:] == ["processes discard", f"discard {second}"]
    assert ("processes go_back" in machine.calls) == (step == "processes start")
    assert "processes retire" not in machine.calls


def test_an_unhealthy_release_says_its_last_words(machine: Machine):
    machine.refuse["socket"] = "unhealthy"
    with pytest.raises(ReleaseError, match="unhealthy\nlast words"):
        machine.release(machine.upload("one"))


def test_a_failed_change_of_a_variable_leaves_the_code_of_the_serving_release(machine: Machine):
    digest = machine.upload("one")
    machine.release(digest)
    machine.upload("one")  # as after a run that was killed before it pruned
    machine.refuse["socket"] = "unhealthy"
    with pytest.raises(ReleaseError):
        machine.release(digest, COLOUR="blue")
    assert machine.page() == "one"


def test_an_instance_keeps_the_settings_of_gunicorn_that_it_was_tried_with(machine: Machine):
    machine.release(machine.upload("one"))
    machine.paths.gunicorn_settings.write_text("workers = 9\n")
    kept = machine.paths.instances / next(iter(machine.active)) / "gunicorn.conf.py"
    assert kept.read_text() == "workers = 1\n"


def test_without_a_watch_none_is_made(machine: Machine):
    digest = machine.upload("one")
    machine.calls.clear()
    release.release(machine.paths, release.Request(web.Instance(digest, "s1", {}), HEALTH))
    assert machine.calls == [f"start {digest}", "ask socket", "ask nginx"]


def test_the_history_says_how_each_release_ended_and_why(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    machine.release(first)
    for step in ("socket", "watch"):
        machine.refuse = {step: f"{step} is bad"}
        with pytest.raises(ReleaseError):
            machine.release(second)
    machine.refuse = {}
    with monkeypatch.context() as patch:
        die_after(patch, "start")
        patch.setattr(history, "_append", lambda *_: None)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(SystemError):
            machine.release(second)
    machine.release(second)
    found = history.last(machine.paths, 10)
    assert [(entry["result"], entry["reason"]) for entry in found] == [
        ("serving", None),
        ("unchanged", None),
        ("failed", "socket is bad"),
        ("reverted", "watch is bad"),
        ("interrupted", None),
        ("serving", None),
    ]
    phases = [
        "lock",
        "space",
        "unpack",
        "environment",
        "start",
        "check",
        "switch",
        "verify",
        "watch",
        "retire",
        "prune",
    ]
    assert list(found[0]["phases"]) == phases
