"""Workers beside the web process, on one server. The tests run in this order and edit one app."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import pytest

from tests.machine.editable_app import FILES, WEB, WORKER, EditableAppServer

pytestmark = pytest.mark.machine
SERVER_CLASS = EditableAppServer

# The same process, with a log of its own.
BEAT = WORKER.replace("/var/lib/app/worker", "/var/lib/app/beat")
LIST_WEB_UNITS = "systemctl list-units --plain --no-legend 'gantry-web@*'"


@pytest.fixture(scope="module")
def server(server: EditableAppServer) -> EditableAppServer:
    """The app has been released once."""
    server.release()
    return server


def test_a_new_release_replaces_the_workers_after_the_switch_and_the_old_ones_finish_their_job(
    server: EditableAppServer,
):
    old, old_workers = server.release_id(), server.workers()
    server.edit("hello.py", WEB + "# new\n")
    server.release()
    new = server.release_id()
    assert set(server.workers()) > set(old_workers), "the old workers ended before their job did"
    server.wait_until_workers_are(2, "the old workers to end")
    assert not set(server.workers()) & set(old_workers)
    log = [(line.split()[0], line.split()[2]) for line in server.log("worker")]
    assert log.count((old, "stopping")) == log.count((old, "finished")) == 2
    assert log[-1] == (new, "beat")
    assert [line.split()[0] for line in server.log("migrations")] == [old, new]


def test_a_changed_worker_count_is_applied_without_a_switch(server: EditableAppServer):
    web_units, workers = server.ssh(LIST_WEB_UNITS), server.workers()
    for count in (3, 0, 2):
        server.change_settings(processes={"worker": count})
        assert "serving already" in server.release()
        server.wait_until_workers_are(count, f"{count} workers")
    assert server.workers() == workers
    assert server.ssh(LIST_WEB_UNITS) == web_units


def test_a_worker_that_does_not_start_fails_the_release_and_the_old_workers_keep_running(server: EditableAppServer):
    server.release()
    server.wait_until_workers_are(2, "the old workers to end")
    server.edit("worker.py", "import no_such_module\n")
    output = server.failing_release()
    assert "worker.1 doesn't stay up (exit status 1):" in output
    assert "No module named 'no_such_module'" in output
    assert server.ssh("systemctl --failed --no-legend --plain") == ""
    server.edit("worker.py", WORKER)


def test_a_process_that_ends_by_itself_fails_the_release_with_the_line_and_the_setting(server: EditableAppServer):
    procfile = FILES["Procfile"]
    server.edit("Procfile", procfile + "init: echo tables are up to date\n")
    output = server.failing_release()
    assert "init.1 ends by itself (exit status 0)" in output
    assert "tables are up to date" in output
    assert "`release: python migrate.py && echo tables are up to date`" in output
    assert "pulumi config set --path processes.init 0" in output
    server.change_settings(processes={"worker": 2, "init": 0})
    server.release()
    server.wait_until_workers_are(2, "the old workers to end")
    server.edit("Procfile", procfile)
    server.change_settings(processes={"worker": 2})


def test_a_singleton_never_runs_twice_over_releases_rollbacks_kills_and_a_reboot(server: EditableAppServer):
    server.edit("Procfile", FILES["Procfile"] + "beat: python beat.py\n")
    server.edit("beat.py", BEAT)
    for number in range(3):
        server.edit("hello.py", f"{WEB}# {number}\n")
        server.release()
    assert serving_beats(server) == [server.release_id()]

    # The new one crashes after the old one has ended.
    server.edit("beat.py", "import time\n\ntime.sleep(1)\nraise SystemExit(3)\n")
    exit_code, output = server.try_release()
    assert exit_code == 1
    assert "beat.1 doesn't stay up (exit status 3)" in output
    served = server.page()
    server.wait_until(lambda: serving_beats(server) == [served], "the old singleton to run again")

    # The run is killed while the old one finishes its job. The next run has nothing to repair.
    server.edit("beat.py", BEAT + "# killed\n")
    with ThreadPoolExecutor(1) as pool:
        release = pool.submit(server.try_release)
        server.wait_until(lambda: server.log("beat")[-1].endswith("stopping"), "the old singleton to be stopped")
        server.ssh("sudo pkill -9 -f '[h]ost.pyz release'", check=False)
        assert release.result()[0] != 0
    server.release()
    assert serving_beats(server) == [server.release_id()]

    server.reboot()
    server.wait_until(lambda: serving_beats(server) == [server.release_id()], "the singleton after the reboot", 90)
    lines = [line.split() for line in server.log("beat")]
    processes = [process for process, _ in groupby(lines, key=lambda line: (line[0], line[1]))]
    assert len(processes) == 6  # the crashing one doesn't write
    assert len(processes) == len(set(processes)), "two singletons have written to the log by turns"

    server.edit("Procfile", FILES["Procfile"])
    server.release()
    server.wait_until_workers_are(2, "the singleton to end")


def serving_beats(server: EditableAppServer) -> list[str]:
    """The releases whose singletons write to the log at this moment."""
    before = len(server.log("beat"))
    time.sleep(1)
    return sorted({line.split()[0] for line in server.log("beat")[before:]})


def test_a_crashed_worker_is_restarted(server: EditableAppServer):
    server.ssh(f"sudo systemctl kill --signal=SIGKILL gantry-process@{server.workers()[0]}.service")
    count = "systemctl list-units --plain --no-legend --state=active 'gantry-process@*' | wc -l"
    server.wait_until(lambda: server.ssh(count) == "2", "the restart of the worker")


def test_a_worker_is_sandboxed_like_web_and_has_no_socket(server: EditableAppServer):
    def properties(unit: str) -> set[str]:
        names = "User,UMask,NoNewPrivileges,ProtectSystem,PrivateTmp,CapabilityBoundingSet,SystemCallFilter"
        return set(server.ssh(f"systemctl show {unit} --property={names}").splitlines())

    deployment = server.deployment()
    worker = properties(f"gantry-process@{deployment}-worker-1")
    assert "User=app" in worker
    assert worker == properties(f"gantry-web@{deployment}") == properties(f"gantry-release@{deployment}")
    assert len(server.ssh("sudo ls /run/gantry").split()) == 1


def test_after_a_reboot_the_workers_and_timers_run_again(server: EditableAppServer):
    server.edit("app.json", json.dumps({"cron": [{"schedule": "0 3 * * *", "command": "python job.py"}]}))
    server.release()
    server.wait_until_workers_are(2, "the old workers to end")
    page, workers = server.page(), server.workers()
    server.reboot()
    server.wait_until(lambda: server.shows(page), "the page to return", 90)
    server.wait_until(lambda: server.workers() == workers, "the workers to return")
    assert "03:00:00" in server.ssh("systemctl list-timers --no-legend 'gantry-cron@*'")


def test_removed_processes_leave_nothing_behind(server: EditableAppServer):
    server.edit("Procfile", "web: gunicorn hello:app\n")
    (server.app / "app.json").unlink()
    server.change_settings(processes={})
    server.release()
    server.wait_until_workers_are(0, "the workers to end")
    server.release()
    assert server.ssh("ls /opt/gantry/processes") == ""
    assert server.ssh("ls -d /etc/systemd/system/gantry-cron@*.timer.d", check=False) == ""
