"""Runs that were killed, or that meet another one, at the points that are easily forgotten."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.unit.test_host_fleet import Fleet

from host import fleet, health, history, processes, release, serving, watch
from host.errors import ReleaseError
from host.processes import Plan
from tests.unit import test_host_processes as beside
from tests.unit.host_machine import Machine, die_after

NO_MAIL = Plan({"mail-out": 0})
# A record of what runs beside web.
WORKING = json.dumps(["gantry-process@old-worker-1.service"])


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(tmp_path, monkeypatch)


def die(*_: object) -> None:
    raise SystemError


def test_what_turned_bad_after_a_kill_during_its_watch_is_taken_back_by_the_next_run(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    machine.release(machine.upload("one"))
    bad = machine.upload("two")
    with monkeypatch.context() as during, pytest.raises(SystemError):
        die_after(during, "verify")
        machine.release(bad)
    machine.refuse["socket"] = "answers 500"
    monkeypatch.setattr(health, "answer", lambda *_: "500")
    with pytest.raises(ReleaseError, match=r"(?s)answers 500.*what served before serves again"):
        machine.release(bad)
    assert machine.page() == "one"
    assert history.last(machine.paths, 1)[0]["result"] == "reverted"


def test_the_start_of_the_machine_waits_for_a_release_that_came_sooner(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    machine.release(machine.upload("one"))
    machine.active.clear()

    def boot(*_: object) -> str:
        with pytest.raises(ReleaseError, match="being changed by a release of"):
            release.resume(machine.paths)
        return "200"

    with monkeypatch.context() as during:
        during.setattr(release, "RESUME_WAITS_SECONDS", 0)
        during.setattr(watch, "watch", boot)
        machine.release(machine.upload("two"))
    release.resume(machine.paths)
    assert machine.page() == "two"


def test_attempts_that_came_no_further_than_the_preparation_push_out_nothing_that_has_served(server: Fleet):
    good = [server.upload(f"good{number}") for number in range(3)]
    for number, digest in enumerate(good):
        server.release(digest)
        os.utime(server.paths.releases / digest, (1000 + number, 1000 + number))
    for number in range(5):
        fleet.prepare(server.paths, server.upload(f"bad{number}"))
    latest = server.upload("latest")
    fleet.prepare(server.paths, latest)
    server.release(latest, probation=900)
    server.release(latest)
    assert {*good, latest} <= {folder.name for folder in server.paths.releases.iterdir()}


def test_a_preparation_that_fails_leaves_no_release(server: Fleet):
    digest = server.upload("one")
    server.refuse["environment"] = "no registry"
    with pytest.raises(ReleaseError, match="no registry"):
        fleet.prepare(server.paths, digest)
    assert not list(server.paths.releases.iterdir())


def test_a_preparation_of_an_upload_that_was_cut_off_is_refused_by_its_digest_and_leaves_no_release(server: Fleet):
    digest = server.upload("one")
    with (server.paths.incoming / f"{digest}.tar").open("r+b") as stream:
        stream.truncate(1024)
    with pytest.raises(ReleaseError, match="cut off or changed"):
        fleet.prepare(server.paths, digest)
    assert not server.paths.releases.exists()


def test_a_kill_when_all_is_proven_leaves_no_way_back_to_the_processes_of_before(
    server: Fleet, monkeypatch: pytest.MonkeyPatch
):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    record = server.paths.processes_record
    record.write_text(WORKING)
    server.release(two, probation=900)
    with monkeypatch.context() as during, pytest.raises(SystemError):
        during.setattr(fleet, "disarm", die)
        server.release(two)
    server.revert()
    assert "old" not in record.read_text()
    assert serving.current(server.paths) == serving.proven(server.paths)


def test_a_way_back_that_was_killed_ends_the_processes_of_the_release_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    server = beside.Server(tmp_path, monkeypatch)
    serving.prove(server.paths, beside.OLD.name)
    server.start(beside.OLD, NO_MAIL)
    processes.remember(server.paths)
    server.start(beside.NEW, NO_MAIL)
    with monkeypatch.context() as during, pytest.raises(SystemError):
        during.setattr(processes, "retire", die)
        processes.go_back(server.paths)
    processes.go_back(server.paths)
    assert server.up() == beside.services(beside.OLD, "worker-1")


def test_a_worker_that_is_just_being_restarted_is_left_to_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = beside.Server(tmp_path, monkeypatch)
    server.start(beside.NEW, NO_MAIL)
    (unit,) = beside.services(beside.NEW, "worker-1")
    server.states[unit] = "activating"
    server.calls.clear()
    processes.start(server.paths, beside.NEW, NO_MAIL)
    assert not [call for call in server.calls if call[0] in ("start", "stop")]


def test_a_kill_before_a_release_is_proven_starts_the_processes_of_the_one_before_with_the_machine(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    record = machine.paths.processes_record
    machine.release(machine.upload("one"))
    record.write_text(WORKING)
    with monkeypatch.context() as during, pytest.raises(SystemError):
        during.setattr(processes, "start", lambda *_: record.write_text("[]"))
        during.setattr(fleet, "settle", die)
        during.setattr(release, "_go_back", die)
        machine.release(machine.upload("two"))
    release.resume(machine.paths)
    assert (record.read_text(), machine.page()) == (WORKING, "one")


def test_processes_that_were_started_for_a_release_that_cannot_be_proven_are_no_longer_recorded(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    record = machine.paths.processes_record
    machine.release(machine.upload("one"))
    record.write_text(WORKING)
    monkeypatch.setattr(processes, "start", lambda *_: record.write_text("[]"))
    monkeypatch.setattr(serving, "prove", die)
    with pytest.raises(SystemError):
        machine.release(machine.upload("two"))
    assert (record.read_text(), machine.page()) == (WORKING, "one")
