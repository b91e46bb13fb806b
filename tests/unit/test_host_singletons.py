"""Process types of which the whole fleet runs one: a release moves them without overlap."""

from __future__ import annotations

from pathlib import Path

import pytest

from host import processes
from host.errors import ReleaseError
from host.processes import Plan
from tests.unit.test_host_processes import NEW, OLD, FakeSystemd, services

PROCFILE = "web: gunicorn a:b\nworker: python worker.py\nbeat: python beat.py\n"
SINGLETONS = frozenset({"beat", "mail-out"})
FIRST = Plan(singletons=SINGLETONS, first=True)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    fake = FakeSystemd(tmp_path, monkeypatch)
    for deployment in (OLD, NEW):
        fake.unpack(deployment, PROCFILE)
    return fake


def changes(server: FakeSystemd, name: str) -> list[tuple[str, str]]:
    """The starts and stops of units whose names end with ``name``: the verb, and the release. --no-block is noted."""
    found: list[tuple[str, str]] = []
    for verb, *words in server.calls:
        suffix = " without waiting" if "--no-block" in words else ""
        units = [word for word in words if word.endswith(f"-{name}.service")]
        found += [(verb + suffix, unit.partition("@")[2][:12]) for unit in units if verb in ("start", "stop")]
    return found


def test_only_the_first_server_runs_a_singleton(server: FakeSystemd):
    server.start(NEW, Plan(singletons=SINGLETONS))
    assert server.active() == services(NEW, "worker-1")
    server.start(NEW, FIRST)
    assert server.active() == services(NEW, "worker-1", "beat-1")


def test_a_server_that_is_not_the_first_any_more_stops_its_singletons(server: FakeSystemd):
    server.start(NEW, FIRST)
    server.start(NEW, Plan(singletons=SINGLETONS))
    assert server.active() == services(NEW, "worker-1")


def test_a_count_of_0_switches_a_singleton_off_and_more_than_1_counts_as_1(server: FakeSystemd):
    server.start(NEW, Plan({"beat": 0}, singletons=SINGLETONS, first=True))
    assert server.active() == services(NEW, "worker-1")
    server.start(NEW, Plan({"beat": 3}, singletons=SINGLETONS, first=True))
    assert server.active() == services(NEW, "worker-1", "beat-1")


def test_no_message_says_that_the_procfile_lacks_a_singleton_of_another_server(
    server: FakeSystemd, capsys: pytest.CaptureFixture[str]
):
    server.prepare(Plan({"beat": 1}, singletons=SINGLETONS))
    assert capsys.readouterr().out == ""


def test_the_old_singleton_has_ended_before_the_new_one_starts(server: FakeSystemd):
    server.start(OLD, FIRST)
    server.calls.clear()
    server.start(NEW, FIRST)
    assert changes(server, "beat-1") == [("stop", OLD.release), ("start", NEW.release)]
    assert changes(server, "worker-1") == [("start", NEW.release), ("stop without waiting", OLD.release)]
    assert server.active() == services(NEW, "worker-1", "beat-1")


def test_all_processes_of_the_type_are_stopped_when_it_becomes_a_singleton(server: FakeSystemd):
    server.start(OLD, Plan({"beat": 2}))
    server.calls.clear()
    server.start(NEW, FIRST)
    assert changes(server, "beat-1") == [("stop", OLD.release), ("start", NEW.release)]
    assert changes(server, "beat-2") == [("stop", OLD.release)]


def test_a_type_whose_name_ends_with_that_of_a_singleton_is_left_alone(server: FakeSystemd):
    server.unpack(OLD, PROCFILE + "up-beat: python up.py\n")
    server.start(OLD, FIRST)
    server.calls.clear()
    server.start(NEW, FIRST)
    assert ("stop", f"gantry-process@{OLD.name}-up-beat-1.service") not in server.calls


def test_if_another_process_fails_the_singleton_was_never_touched(server: FakeSystemd):
    server.start(OLD, FIRST)
    server.calls.clear()
    server.ending = {"worker-1": ("1", "1")}
    with pytest.raises(ReleaseError):
        processes.start(server.paths, NEW, FIRST)
    assert ("stop", OLD.release) not in changes(server, "beat-1")
    assert services(OLD, "beat-1") <= server.active()


def test_if_the_new_singleton_fails_the_old_one_is_started_again(server: FakeSystemd):
    server.start(OLD, FIRST)
    server.calls.clear()
    server.ending = {"beat-1": ("1", "1")}
    with pytest.raises(ReleaseError, match=r"beat\.1 doesn't stay up"):
        processes.start(server.paths, NEW, FIRST)
    assert changes(server, "beat-1") == [
        ("stop", OLD.release),
        ("start", NEW.release),
        ("stop without waiting", NEW.release),
        ("start without waiting", OLD.release),
    ]
    assert server.active() == services(OLD, "worker-1", "beat-1")


def test_a_rollback_after_the_switch_brings_the_old_singleton_back(server: FakeSystemd):
    server.start(OLD, FIRST)
    processes.save_for_rollback(server.paths)
    server.start(NEW, FIRST)
    processes.roll_back(server.paths)
    assert server.active() == services(OLD, "worker-1", "beat-1")


def test_a_singleton_waits_for_a_lock_that_is_the_same_in_every_release(server: FakeSystemd):
    for deployment in (OLD, NEW):
        server.start(deployment, FIRST)
    lines = [(server.folder(f"{NEW.name}-beat-1") / "run").read_text().splitlines()[1:3]]
    assert lines == [["exec 9</opt/gantry/singletons/beat", "flock 9"]]
    assert (server.paths.root / "opt/gantry/singletons/beat").stat().st_mode & 0o777 == 0o644
    assert "flock" not in (server.folder(f"{NEW.name}-worker-1") / "run").read_text()


def test_an_old_process_without_the_lock_takes_it_when_a_rollback_starts_it(server: FakeSystemd):
    server.start(OLD, Plan(first=True))
    run = server.folder(f"{OLD.name}-beat-1") / "run"
    before = run.read_text().splitlines()
    assert not any("flock" in line for line in before)
    processes.start(server.paths, NEW, FIRST)
    lines = run.read_text().splitlines()
    assert [line for line in lines if line not in before] == ["exec 9</opt/gantry/singletons/beat", "flock 9"]
    assert lines[0] == before[0]
    assert lines[-1] == before[-1]
    assert run.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("has_celery", [True, False])
def test_celerys_beat_keeps_its_schedule_where_it_can_write_whatever_starts_it(server: FakeSystemd, has_celery: bool):
    if has_celery:
        package = server.paths.venvs / "v1/lib/python3.13/site-packages/celery/__init__.py"
        package.parent.mkdir(parents=True)
        package.touch()
    server.unpack(NEW, "web: gunicorn a:b\nbeat: ./start.sh beat\n")
    server.start(NEW, FIRST)
    run = server.folder(f"{NEW.name}-beat-1") / "run"
    lines = run.read_text().splitlines()
    line = 'export CELERY_BEAT_SCHEDULE="${CELERY_BEAT_SCHEDULE:-/var/lib/app/celerybeat-schedule}"'
    assert (line in lines) == has_celery
    assert lines.count("flock 9") == 1
    # The next release stops it, and must not add the lock again.
    processes.start(server.paths, OLD, FIRST)
    assert run.read_text().splitlines() == lines
