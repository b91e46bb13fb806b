"""Workers and timers of the old release during a probation, and after a rollback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host import processes, state, systemd
from host.cron import Entry
from host.processes import Plan
from tests.unit.host_server import FakeServer
from tests.unit.test_host_processes import NEW, NIGHTLY, OLD, FakeSystemd, cron_of, services

NO_MAIL = Plan({"mail-out": 0})
NO_PROCESS = Plan({"mail-out": 0, "worker": 0})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    server = FakeSystemd(tmp_path, monkeypatch)
    state.prove(server.paths, OLD.name)
    return server


@pytest.fixture
def release_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    return FakeServer(tmp_path, monkeypatch)


def on_probation(server: FakeSystemd, before: Plan, plan: Plan) -> None:
    """OLD ran with the plan ``before``. Now NEW serves with ``plan``, on probation."""
    server.start(OLD, before)
    processes.save_for_rollback(server.paths)
    server.start(NEW, plan)
    server.calls.clear()


def recorded(server: FakeSystemd) -> list[str]:
    return json.loads(server.paths.processes_record.read_text())


def test_a_rollback_stops_the_new_processes_and_starts_the_old_ones_without_waiting(server: FakeSystemd):
    on_probation(server, NO_MAIL, NO_MAIL)
    processes.roll_back(server.paths)
    (new,), (old,) = services(NEW, "worker-1"), services(OLD, "worker-1")
    assert server.calls == [("stop", "--no-block", new), ("start", "--no-block", old)]
    assert recorded(server) == [old]


def test_after_a_rollback_a_reboot_starts_the_old_processes(server: FakeSystemd):
    on_probation(server, NO_MAIL, NO_MAIL)
    processes.roll_back(server.paths)
    server.states.clear()
    processes.roll_back(server.paths)
    assert server.active() == services(OLD, "worker-1")
    assert not server.paths.processes_before.exists()


def test_a_rollback_to_a_release_without_processes_starts_none(server: FakeSystemd):
    on_probation(server, NO_PROCESS, NO_MAIL)
    processes.roll_back(server.paths)
    assert server.calls == [("stop", "--no-block", *services(NEW, "worker-1"))]
    assert recorded(server) == []


def test_a_rollback_without_saved_units_keeps_the_recorded_ones_running(server: FakeSystemd):
    server.start(NEW, NO_MAIL)
    processes.roll_back(server.paths)
    assert server.active() == services(NEW, "worker-1")


def test_a_second_release_on_probation_does_not_replace_the_saved_units(server: FakeSystemd):
    on_probation(server, NO_MAIL, NO_MAIL)
    processes.save_for_rollback(server.paths)
    processes.roll_back(server.paths)
    assert server.active() == services(OLD, "worker-1")


def test_units_that_a_killed_run_saved_for_an_earlier_deployment_are_replaced(server: FakeSystemd):
    on_probation(server, NO_MAIL, NO_MAIL)
    state.prove(server.paths, NEW.name)
    processes.save_for_rollback(server.paths)
    assert json.loads(server.paths.processes_before.read_text()) == {
        "deployment": NEW.name,
        "units": [*services(NEW, "worker-1")],
    }
    processes.roll_back(server.paths)
    assert server.active() == services(NEW, "worker-1")


def test_an_old_timer_keeps_its_schedule_during_a_probation_and_a_rollback_removes_the_new_timer(server: FakeSystemd):
    on_probation(
        server,
        Plan(NO_PROCESS.counts, (NIGHTLY,), first=True),
        Plan(NO_PROCESS.counts, (Entry("@hourly", "python a.py"),), first=True),
    )
    (new,) = cron_of(NEW, server)
    schedules = {folder.name: folder / "schedule.conf" for folder in server.paths.units.iterdir()}
    (old,) = (name.removesuffix(".d") for name in schedules if OLD.release in name)
    assert "3:0:00" in schedules[f"{old}.d"].read_text()
    assert server.states[old] == "inactive", "only the timers of one release run"
    processes.roll_back(server.paths)
    assert server.active() == {old}
    assert not schedules[f"{new}.d"].exists()
    assert server.calls == [("stop", new), ("daemon-reload",), ("start", "--no-block", old)]


def test_the_files_for_a_rollback_are_kept_until_the_release_is_proven(server: FakeSystemd):
    on_probation(server, NO_MAIL, NO_MAIL)
    old = server.folder(f"{OLD.name}-worker-1")
    assert old.exists()
    processes.delete_saved(server.paths)
    processes.remove_unused(server.paths)
    assert not old.exists()
    assert server.folder(f"{NEW.name}-worker-1").exists()


def test_a_draining_process_keeps_its_folder_and_its_deployment_in_use(server: FakeSystemd):
    server.start(OLD, NO_MAIL)
    (old,) = services(OLD, "worker-1")
    processes.start(server.paths, NEW, NO_MAIL)
    processes.drain(server.paths)
    server.states[old] = "deactivating"
    processes.remove_unused(server.paths)
    assert server.folder(f"{OLD.name}-worker-1").exists()
    assert processes.in_use() == {OLD.name, NEW.name}
    server.states[old] = "failed"
    processes.remove_unused(server.paths)
    assert not server.folder(f"{OLD.name}-worker-1").exists()
    assert processes.in_use() == {NEW.name}


def test_a_recorded_process_that_has_failed_keeps_its_folder_because_a_reboot_starts_it(server: FakeSystemd):
    server.start(NEW, NO_MAIL)
    server.states.update(dict.fromkeys(services(NEW, "worker-1"), "failed"))
    processes.remove_unused(server.paths)
    assert server.folder(f"{NEW.name}-worker-1").exists()


def test_a_running_release_phase_keeps_its_deployment_in_use_and_a_waiting_timer_does_not(server: FakeSystemd):
    server.states = {
        f"gantry-release@{NEW.name}.service": "activating",
        f"gantry-cron@{OLD.name}-abcdef.timer": "active",
    }
    assert processes.in_use() == {NEW.name}


def test_a_deployment_with_a_running_job_is_kept_over_many_releases_until_the_job_has_ended(
    release_server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    first, *_ = release_server.release_pages("0")
    (name,) = release_server.active
    process = release_server.paths.processes / f"{name}-worker-1"
    process.mkdir(parents=True)
    kept = [
        process,
        release_server.paths.releases / first,
        release_server.paths.deployments / name,
        release_server.paths.env_files / name,
        release_server.venv("flask==0"),
    ]
    units = {f"gantry-process@{process.name}.service": "deactivating"}
    monkeypatch.setattr(systemd, "listed", lambda *_: units)
    release_server.release_pages(*"123456")
    assert all(path.exists() for path in kept)
    units.clear()
    release_server.release(release_server.upload("7"))
    assert not any(path.exists() for path in kept)
