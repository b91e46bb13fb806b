"""What ran beside web before a release on probation, and what of it stays for the way back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host import processes, serving, systemd
from host.cron import Entry
from host.processes import Plan
from tests.unit.host_machine import Machine
from tests.unit.test_host_processes import NEW, NIGHTLY, OLD, Server, cron_of, services

NO_MAIL = Plan({"mail-out": 0})
NO_PROCESS = Plan({"mail-out": 0, "worker": 0})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(tmp_path, monkeypatch)
    serving.prove(server.paths, OLD.name)
    return server


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def on_probation(server: Server, before: Plan, plan: Plan) -> None:
    """OLD ran as ``before`` says; now NEW serves, and can still go back."""
    server.start(OLD, before)
    processes.remember(server.paths)
    server.start(NEW, plan)
    server.calls.clear()


def recorded(server: Server) -> list[str]:
    return json.loads(server.paths.processes_record.read_text())


def test_on_the_way_back_the_new_ones_are_told_to_stop_and_then_those_of_before_start_unwaited_for(server: Server):
    on_probation(server, NO_MAIL, NO_MAIL)
    processes.go_back(server.paths)
    (new,), (old,) = services(NEW, "worker-1"), services(OLD, "worker-1")
    assert server.calls == [("stop", "--no-block", new), ("start", "--no-block", old)]
    assert recorded(server) == [old]


def test_what_was_gone_back_to_is_what_a_reboot_starts_and_a_second_way_back_changes_nothing(server: Server):
    on_probation(server, NO_MAIL, NO_MAIL)
    processes.go_back(server.paths)
    server.states.clear()
    processes.go_back(server.paths)
    assert server.up() == services(OLD, "worker-1")
    assert not server.paths.processes_before.exists()


def test_a_way_back_to_no_process_at_all_starts_none(server: Server):
    on_probation(server, NO_PROCESS, NO_MAIL)
    processes.go_back(server.paths)
    assert server.calls == [("stop", "--no-block", *services(NEW, "worker-1"))]
    assert recorded(server) == []


def test_without_anything_remembered_what_is_recorded_goes_on(server: Server):
    server.start(NEW, NO_MAIL)
    processes.go_back(server.paths)
    assert server.up() == services(NEW, "worker-1")


def test_a_second_attempt_on_probation_does_not_become_what_is_gone_back_to(server: Server):
    on_probation(server, NO_MAIL, NO_MAIL)
    processes.remember(server.paths)
    processes.go_back(server.paths)
    assert server.up() == services(OLD, "worker-1")


def test_what_a_killed_run_left_of_an_instance_proven_earlier_is_neither_gone_back_to_nor_kept(server: Server):
    on_probation(server, NO_MAIL, NO_MAIL)
    serving.prove(server.paths, NEW.name)
    processes.remember(server.paths)
    assert json.loads(server.paths.processes_before.read_text()) == {
        "instance": NEW.name,
        "units": [*services(NEW, "worker-1")],
    }
    processes.go_back(server.paths)
    assert server.up() == services(NEW, "worker-1")


def test_a_timer_of_before_keeps_its_times_during_a_probation_and_the_new_ones_go_on_the_way_back(server: Server):
    on_probation(
        server,
        Plan(NO_PROCESS.counts, (NIGHTLY,), first=True),
        Plan(NO_PROCESS.counts, (Entry("@hourly", "python a.py"),), first=True),
    )
    (new,) = cron_of(NEW, server)
    times = {folder.name: folder / "schedule.conf" for folder in server.paths.units.iterdir()}
    (old,) = (name.removesuffix(".d") for name in times if OLD.release in name)
    assert "3:0:00" in times[f"{old}.d"].read_text()
    assert server.states[old] == "inactive", "only one release's timers run"
    processes.go_back(server.paths)
    assert server.up() == {old}
    assert not times[f"{new}.d"].exists()
    assert server.calls == [("stop", new), ("daemon-reload",), ("start", "--no-block", old)]


def test_what_the_way_back_needs_is_kept_until_the_release_is_proven(server: Server):
    on_probation(server, NO_MAIL, NO_MAIL)
    old = server.folder(f"{OLD.name}-worker-1")
    assert old.exists()
    processes.forget_remembered(server.paths)
    processes.forget(server.paths)
    assert not old.exists()
    assert server.folder(f"{NEW.name}-worker-1").exists()


def test_a_process_that_finishes_its_job_keeps_its_folder_and_counts_as_using_its_instance(server: Server):
    server.start(OLD, NO_MAIL)
    (old,) = services(OLD, "worker-1")
    processes.start(server.paths, NEW, NO_MAIL)
    processes.retire(server.paths)
    server.states[old] = "deactivating"
    processes.forget(server.paths)
    assert server.folder(f"{OLD.name}-worker-1").exists()
    assert processes.in_use() == {OLD.name, NEW.name}
    server.states[old] = "failed"
    processes.forget(server.paths)
    assert not server.folder(f"{OLD.name}-worker-1").exists()
    assert processes.in_use() == {NEW.name}


def test_one_that_has_crashed_for_good_keeps_its_folder_since_a_reboot_starts_it_again(server: Server):
    server.start(NEW, NO_MAIL)
    server.states.update(dict.fromkeys(services(NEW, "worker-1"), "failed"))
    processes.forget(server.paths)
    assert server.folder(f"{NEW.name}-worker-1").exists()


def test_a_migration_of_a_killed_run_uses_its_instance_and_a_timer_that_only_waits_does_not(server: Server):
    server.states = {
        f"gantry-release@{NEW.name}.service": "activating",
        f"gantry-cron@{OLD.name}-abcdef.timer": "active",
    }
    assert processes.in_use() == {NEW.name}


def test_what_a_job_still_runs_stays_after_many_releases_and_goes_with_the_first_after_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    first, *_ = machine.released("0")
    (instance,) = machine.active
    process = machine.paths.processes / f"{instance}-worker-1"
    process.mkdir(parents=True)
    kept = [
        process,
        machine.paths.releases / first,
        machine.paths.instances / instance,
        machine.paths.environments / instance,
        machine.venv("flask==0"),
    ]
    units = {f"gantry-process@{process.name}.service": "deactivating"}
    monkeypatch.setattr(systemd, "listed", lambda *_: units)
    machine.released(*"123456")
    assert all(path.exists() for path in kept)
    units.clear()
    machine.release(machine.upload("7"))
    assert not any(path.exists() for path in kept)
