"""Runs that were killed, or that meet another run, at points that are easily forgotten."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from host import failed_release, health, history, probation, processes, resume, state, watch
from host.errors import ReleaseError
from host.health_check import Answer
from host.processes import Plan
from tests.unit.host_server import FakeServer, die_after
from tests.unit.test_host_probation import ProbationServer
from tests.unit.test_host_processes import NEW, OLD, FakeSystemd, services

NO_MAIL = Plan({"mail-out": 0})
# The recorded units of a server with one worker.
ONE_WORKER = json.dumps(["gantry-process@old-worker-1.service"])


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    return FakeServer(tmp_path, monkeypatch)


@pytest.fixture
def probation_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProbationServer:
    return ProbationServer(tmp_path, monkeypatch)


def die(*_: object) -> None:
    raise SystemError


def test_a_release_that_turned_unhealthy_after_its_watch_was_killed_is_rolled_back_by_the_next_run(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    server.release(server.upload("one"))
    unhealthy = server.upload("two")
    with monkeypatch.context() as patch, pytest.raises(SystemError):
        die_after(patch, "verify")
        server.release(unhealthy)
    server.errors["socket"] = "answers 500"
    monkeypatch.setattr(health, "site_answer", lambda *_: Answer(500))
    with pytest.raises(ReleaseError, match=r"(?s)answers 500.*the previous release serves again"):
        server.release(unhealthy)
    assert server.page() == "one"
    assert history.last_entries(server.paths, 1)[0]["result"] == "rolled back"


def test_the_start_of_the_server_waits_for_a_release_in_progress(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    server.release(server.upload("one"))
    server.active.clear()

    def boot(*_: object) -> str:
        with pytest.raises(ReleaseError, match="being changed by a release of"):
            resume.resume(server.paths)
        return "200"

    with monkeypatch.context() as patch:
        patch.setattr(resume, "WAIT_SECONDS", 0)
        patch.setattr(watch, "watch", boot)
        server.release(server.upload("two"))
    resume.resume(server.paths)
    assert server.page() == "two"


def test_releases_that_were_only_prepared_do_not_replace_releases_that_have_served(
    probation_server: ProbationServer,
):
    served = [probation_server.upload(f"served{number}") for number in range(3)]
    for number, digest in enumerate(served):
        probation_server.release(digest)
        os.utime(probation_server.paths.releases / digest, (1000 + number, 1000 + number))
    for number in range(5):
        probation.prepare(probation_server.paths, probation_server.upload(f"prepared{number}"))
    latest = probation_server.upload("latest")
    probation.prepare(probation_server.paths, latest)
    probation_server.release(latest, probation=900)
    probation_server.release(latest)
    assert {*served, latest} <= {folder.name for folder in probation_server.paths.releases.iterdir()}


def test_a_failed_preparation_leaves_no_release(probation_server: ProbationServer):
    digest = probation_server.upload("one")
    probation_server.errors["venv"] = "no registry"
    with pytest.raises(ReleaseError, match="no registry"):
        probation.prepare(probation_server.paths, digest)
    assert not list(probation_server.paths.releases.iterdir())


def test_the_preparation_of_an_incomplete_upload_is_refused_and_leaves_no_release(
    probation_server: ProbationServer,
):
    digest = probation_server.upload("one")
    with probation_server.paths.tarball(digest).open("r+b") as stream:
        stream.truncate(1024)
    with pytest.raises(ReleaseError, match="cut off or changed"):
        probation.prepare(probation_server.paths, digest)
    assert not probation_server.paths.releases.exists()


def test_after_a_run_killed_once_its_release_was_proven_a_rollback_keeps_the_new_processes(
    probation_server: ProbationServer, monkeypatch: pytest.MonkeyPatch
):
    one, two = probation_server.upload("one"), probation_server.upload("two")
    probation_server.release(one)
    record = probation_server.paths.processes_record
    record.write_text(ONE_WORKER)
    probation_server.release(two, probation=900)
    with monkeypatch.context() as patch, pytest.raises(SystemError):
        patch.setattr(probation, "disarm", die)
        probation_server.release(two)
    probation_server.rollback()
    assert "old" not in record.read_text()
    assert state.current(probation_server.paths) == state.proven(probation_server.paths)


def test_after_a_killed_rollback_the_next_one_ends_the_new_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = FakeSystemd(tmp_path, monkeypatch)
    state.prove(server.paths, OLD.name)
    server.start(OLD, NO_MAIL)
    processes.save_for_rollback(server.paths)
    server.start(NEW, NO_MAIL)
    with monkeypatch.context() as patch, pytest.raises(SystemError):
        patch.setattr(processes, "drain", die)
        processes.roll_back(server.paths)
    processes.roll_back(server.paths)
    assert server.active() == services(OLD, "worker-1")


def test_a_release_does_not_touch_a_worker_that_systemd_is_restarting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = FakeSystemd(tmp_path, monkeypatch)
    server.start(NEW, NO_MAIL)
    (unit,) = services(NEW, "worker-1")
    server.states[unit] = "activating"
    server.calls.clear()
    processes.start(server.paths, NEW, NO_MAIL)
    assert not [call for call in server.calls if call[0] in ("start", "stop")]


def test_a_reboot_after_a_run_killed_before_its_release_was_proven_starts_the_old_processes(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    record = server.paths.processes_record
    server.release(server.upload("one"))
    record.write_text(ONE_WORKER)
    with monkeypatch.context() as patch, pytest.raises(SystemError):
        patch.setattr(processes, "start", lambda *_: record.write_text("[]"))
        patch.setattr(probation, "settle", die)
        patch.setattr(failed_release, "roll_back", die)
        server.release(server.upload("two"))
    resume.resume(server.paths)
    assert (record.read_text(), server.page()) == (ONE_WORKER, "one")


def test_the_processes_of_a_release_that_cannot_be_proven_are_not_recorded(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    record = server.paths.processes_record
    server.release(server.upload("one"))
    record.write_text(ONE_WORKER)
    monkeypatch.setattr(processes, "start", lambda *_: record.write_text("[]"))
    monkeypatch.setattr(state, "prove", die)
    with pytest.raises(SystemError):
        server.release(server.upload("two"))
    assert (record.read_text(), server.page()) == (ONE_WORKER, "one")
