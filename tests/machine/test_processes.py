"""Workers beside web, on one machine. The tests run in their order, on one app that they edit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.machine.edited import WEB, WORKER, Server, booted

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with booted(ssh_key, tmp_path_factory.mktemp("processes")) as server:
        server.released()
        yield server


def test_a_new_release_moves_the_workers_after_the_switch_and_the_old_finish_their_job(server: Server):
    old, olds = server.digest(), server.workers()
    server.edit("hello.py", WEB + "# new\n")
    server.released()
    new = server.digest()
    assert set(server.workers()) > set(olds), "the old ones are still finishing their job"
    server.wait(lambda: len(server.workers()) == 2, "the old workers to end")
    assert not set(server.workers()) & set(olds)
    notes = [(note.split()[0], note.split()[2]) for note in server.notes("worker")]
    assert notes.count((old, "stopping")) == notes.count((old, "finished")) == 2
    assert notes[-1] == (new, "beat")
    assert [note.split()[0] for note in server.notes("migrations")] == [old, new]


def test_another_count_alone_is_applied_without_a_switch(server: Server):
    web, before = server.ssh("systemctl list-units --plain --no-legend 'gantry-web@*'"), server.workers()
    for count in (3, 0, 2):
        server.settings = replace(server.settings, processes={"worker": count})
        assert "serving already" in server.released()
        server.wait(lambda count=count: len(server.workers()) == count, f"{count} workers")
    assert server.workers() == before
    assert server.ssh("systemctl list-units --plain --no-legend 'gantry-web@*'") == web


def test_a_worker_that_does_not_start_fails_the_release_and_the_old_one_goes_on(server: Server):
    server.released()
    server.wait(lambda: len(server.workers()) == 2, "the old workers to end")
    page, workers = server.page(), server.workers()
    server.edit("worker.py", "import no_such_module\n")
    status, said = server.release()
    assert status == 1
    assert "worker.1 doesn't stay up:" in said
    assert "No module named 'no_such_module'" in said
    assert (server.page(), server.workers()) == (page, workers)
    assert server.ssh("systemctl --failed --no-legend --plain") == ""
    server.edit("worker.py", WORKER)


def test_a_worker_that_crashes_comes_back(server: Server):
    server.ssh(f"sudo systemctl kill --signal=SIGKILL gantry-process@{server.workers()[0]}.service")
    count = "systemctl list-units --plain --no-legend --state=active 'gantry-process@*' | wc -l"
    server.wait(lambda: server.ssh(count) == "2", "the worker to come back")


def test_a_worker_is_confined_like_web_and_has_no_socket(server: Server):
    def properties(unit: str) -> set[str]:
        names = "User,UMask,NoNewPrivileges,ProtectSystem,PrivateTmp,CapabilityBoundingSet,SystemCallFilter"
        return set(server.ssh(f"systemctl show {unit} --property={names}").splitlines())

    deployment = server.status()["deployment"]
    worker = properties(f"gantry-process@{deployment}-worker-1")
    assert "User=app" in worker
    assert worker == properties(f"gantry-web@{deployment}") == properties(f"gantry-release@{deployment}")
    assert len(server.ssh("sudo ls /run/gantry").split()) == 1


def test_after_a_reboot_the_workers_and_timers_are_back(server: Server):
    server.edit("app.json", json.dumps({"cron": [{"schedule": "0 3 * * *", "command": "python job.py"}]}))
    server.released()
    server.wait(lambda: len(server.workers()) == 2, "the old workers to end")
    page, workers = server.page(), server.workers()
    server.reboot()
    server.wait(lambda: server.answers(page), "the page to return", 90)
    server.wait(lambda: server.workers() == workers, "the workers to return")
    assert "03:00:00" in server.ssh("systemctl list-timers --no-legend 'gantry-cron@*'")


def test_nothing_is_left_of_processes_that_are_gone(server: Server):
    server.edit("Procfile", "web: gunicorn hello:app\n")
    (server.app / "app.json").unlink()
    server.settings = replace(server.settings, processes={})
    server.released()
    server.wait(lambda: server.workers() == [], "the workers to end")
    server.released()
    assert server.ssh("ls /opt/gantry/processes") == ""
    assert server.ssh("ls -d /etc/systemd/system/gantry-cron@*.timer.d", check=False) == ""
