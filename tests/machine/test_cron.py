"""Cron jobs on one server. The tests run in this order and edit one app."""

from __future__ import annotations

import json

import pytest

from host.cron import Entry
from tests.machine.editable_app import WEB, EditableAppServer

pytestmark = pytest.mark.machine
SERVER_CLASS = EditableAppServer

LIST_TIMERS = "systemctl list-timers --no-legend 'gantry-cron@*'"


def test_cron_jobs_run_on_time_and_never_overlap_even_across_a_release(server: EditableAppServer):
    server.change_settings(cron=(Entry("*:*:*", "python job.py"),))
    assert "1 timers" in server.release()
    old = server.release_id()
    server.wait_until(lambda: len(server.log("job")) >= 3, "the second run to begin")
    server.edit("hello.py", WEB + "# newer\n")
    server.release()
    server.wait_until(lambda: f"{server.release_id()} end" in server.log("job"), "a run of the new release to end")
    log = [line.split() for line in server.log("job")]
    for begin, end in zip(log[::2], log[1::2], strict=False):
        assert (begin[1], end[1]) == ("begin", "end"), log
        assert begin[0] == end[0], "one run began in one release and ended in another"
    assert log == sorted(log, key=lambda line: line[0] != old), "the old release's timer still starts jobs"


def test_cron_timers_exist_only_on_the_first_server_and_follow_app_json(server: EditableAppServer):
    assert server.ssh("ls -d /etc/systemd/system/gantry-cron@*.timer.d | wc -l") == "1"
    server.release(first=False)
    assert server.ssh(LIST_TIMERS) == ""
    assert server.ssh("ls -d /etc/systemd/system/gantry-cron@*.timer.d", check=False) == ""
    server.change_settings(cron=())
    server.edit("app.json", json.dumps({"cron": [{"schedule": "0 3 * * 1-5", "command": "python job.py"}]}))
    server.release()
    assert "03:00:00" in server.ssh(LIST_TIMERS)


def test_a_schedule_that_systemd_cannot_read_fails_the_release_before_anything_changes(server: EditableAppServer):
    server.wait_until_workers_are(2, "the old workers to end")
    server.edit("app.json", json.dumps({"cron": [{"schedule": "*-*-* 25:00", "command": "python job.py"}]}))
    assert "the schedule '*-*-* 25:00' must be five fields of cron" in server.failing_release()
    (server.app / "app.json").unlink()
