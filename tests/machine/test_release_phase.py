"""The release phase, which runs the Procfile's `release` command. The tests run in this order and edit one app."""

from __future__ import annotations

import shlex
import time

import pytest

from tests.machine.editable_app import MIGRATE, EditableAppServer

pytestmark = pytest.mark.machine
SERVER_CLASS = EditableAppServer


def test_a_release_migrates_first_and_starts_the_configured_number_of_workers(server: EditableAppServer):
    output = server.release()
    release = server.release_id()
    assert "  migrating as app with red\n" in output
    assert output.index("migrating") < output.index("\nstart ")
    assert "migrating as app" in server.ssh("sudo journalctl --no-pager --unit 'gantry-release@*'")
    assert server.page() == release
    deployment = server.deployment()
    assert server.workers() == [f"{deployment}-worker-1", f"{deployment}-worker-2"]
    assert {line.split()[0] for line in server.log("worker")} == {release}


def test_releasing_the_same_again_neither_migrates_nor_restarts_the_workers(server: EditableAppServer):
    before = worker_processes(server)
    assert "0 started" in server.release()
    assert len(server.log("migrations")) == 1
    assert worker_processes(server) == before


def worker_processes(server: EditableAppServer) -> set[str]:
    """The process ids of all workers so far."""
    return {line.split()[1] for line in server.log("worker")}


def test_a_failing_migration_fails_the_release_before_the_switch(server: EditableAppServer):
    server.edit("migrate.py", 'print("half way", flush=True)\nraise SystemExit("no such table")\n')
    output = server.failing_release()
    assert "  half way\n" in output
    assert "the release phase failed with exit status 1: python migrate.py" in output
    assert "no such table" in output
    assert "\nstart " not in output


def test_a_hanging_migration_is_ended_after_its_timeout(server: EditableAppServer):
    server.edit("migrate.py", "import time\nprint('waiting for a lock', flush=True)\ntime.sleep(1000)\n")
    start = time.monotonic()
    output = server.failing_release()
    assert "took longer than the setting releaseTimeout allows" in output
    assert "waiting for a lock" in output
    assert 5 <= time.monotonic() - start < 20


def test_only_the_first_server_migrates(server: EditableAppServer):
    before = server.log("migrations")
    assert "waiting for a lock" not in server.release(first=False)
    assert server.log("migrations") == before
    assert server.page() == server.release_id()
    server.edit("migrate.py", MIGRATE)


def test_a_release_killed_during_its_migration_is_completed_by_the_next_one(server: EditableAppServer):
    slow = MIGRATE + '    time.sleep(3)\n    print(os.environ["RELEASE"], "end", file=file)\n'
    server.edit("migrate.py", slow.replace("import os", "import os, time"))
    server.change_settings(release_timeout=20)
    server.configure()
    lines_before = len(server.log("migrations"))
    kill = "until pgrep -f '^python migrate'; do sleep 0.1; done; pkill -KILL -f '^/usr/bin/python3 -I .*pyz release'"
    server.ssh(f"sudo systemd-run --quiet --collect sh -c {shlex.quote(kill)}")
    exit_code, _ = server.try_release()
    assert exit_code != 0
    server.release()
    assert server.ssh("ls /opt/gantry/release-phases") == ""
    ends = [line for line in server.log("migrations")[lines_before:] if line.endswith(" end")]
    assert len(ends) in (1, 2)
    server.wait_until_workers_are(2, "the old workers to end")
