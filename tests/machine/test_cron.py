"""Commands that run at set times, on one machine. The tests run in their order, on one app that they edit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from host.cron import Entry
from tests.machine.editable_app import WEB, Server, booted

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with booted(ssh_key, tmp_path_factory.mktemp("cron")) as server:
        yield server


def test_cron_jobs_run_on_time_and_never_overlap_even_across_a_release(server: Server):
    server.settings = replace(server.settings, cron=(Entry("*:*:*", "python job.py"),))
    assert "1 timers" in server.released()
    old = server.digest()
    server.wait(lambda: len(server.notes("job")) >= 3, "the second run to begin")
    server.edit("hello.py", WEB + "# newer\n")
    server.released()
    server.wait(lambda: f"{server.digest()} end" in server.notes("job"), "a run on the new release to end")
    notes = [note.split() for note in server.notes("job")]
    for begin, end in zip(notes[::2], notes[1::2], strict=False):
        assert (begin[1], end[1]) == ("begin", "end"), notes
        assert begin[0] == end[0], "a run was of two releases"
    assert notes == sorted(notes, key=lambda note: note[0] != old), "the old release's timer still fires"


def test_cron_timers_exist_only_on_the_first_server_and_follow_app_json(server: Server):
    assert server.ssh("ls -d /etc/systemd/system/gantry-cron@*.timer.d | wc -l") == "1"
    server.released(first=False)
    assert server.ssh("systemctl list-timers --no-legend 'gantry-cron@*'") == ""
    assert server.ssh("ls -d /etc/systemd/system/gantry-cron@*.timer.d", check=False) == ""
    server.settings = replace(server.settings, cron=())
    server.edit("app.json", json.dumps({"cron": [{"schedule": "0 3 * * 1-5", "command": "python job.py"}]}))
    server.released()
    assert "03:00:00" in server.ssh("systemctl list-timers --no-legend 'gantry-cron@*'")


def test_a_schedule_that_systemd_cannot_read_fails_the_release_before_anything_changes(server: Server):
    server.edit("app.json", json.dumps({"cron": [{"schedule": "*-*-* 25:00", "command": "python job.py"}]}))
    page = server.page()
    status, said = server.release()
    assert status == 1
    assert "the schedule '*-*-* 25:00' must be five fields of cron" in said
    assert server.page() == page
    (server.app / "app.json").unlink()
