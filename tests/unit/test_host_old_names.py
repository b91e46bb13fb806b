"""Servers that an earlier version has set up: their files can be read, and their units can call this program."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from host import balancing, cli, history, probation, processes, state, status, web_server
from host.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    return paths


def instance_entry(result: str = "serving") -> str:
    """A line that the history got when deployments were called instances."""
    entry = {"release": "3f2a91c0ffee", "instance": "3f2a91c0ffee-1b2c3d", "by": "ada", "source": "console"}
    entry |= {"revision": None, "began": "2026-01-02T03:04:05Z", "seconds": 1.5, "phases": {"environment": 1.0}}
    return json.dumps({**entry, "result": result, "reason": None, "watched": 10.0}) + "\n"


def test_the_status_shows_history_entries_with_instances_as_deployments(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    paths.history.write_text(instance_entry("reverted"))
    report = status.status(paths)
    (entry,) = report["history"]
    assert entry["deployment"] == "3f2a91c0ffee-1b2c3d"
    assert "instance" not in entry
    assert "reverted" in status.text(report)


def test_a_watch_that_an_entry_with_an_instance_records_counts_as_passed(paths: Paths):
    paths.history.write_text(instance_entry())
    assert history.passed_watch(paths, "3f2a91c0ffee-1b2c3d", 10)
    paths.history.write_text(instance_entry() + instance_entry("reverted"))
    assert not history.passed_watch(paths, "3f2a91c0ffee-1b2c3d", 10)


def test_the_unfinished_entry_of_a_killed_run_with_an_instance_is_recorded(paths: Paths):
    paths.unfinished_entry.write_text(instance_entry("interrupted"))
    with history.recording(paths, history.Entry("a", "a-1", by="ada", source="console")):
        pass
    assert [entry["deployment"] for entry in history.last_entries(paths, 9)] == ["3f2a91c0ffee-1b2c3d", "a-1"]


def test_units_that_were_saved_for_an_instance_are_used_by_a_rollback(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(processes, "drain", lambda _: None)
    monkeypatch.setattr(processes.systemd, "systemctl", lambda *_: None)
    state.prove(paths, "3f2a91c0ffee-1b2c3d")
    unit = "gantry-process@3f2a91c0ffee-1b2c3d-worker-1.service"
    paths.processes_before.write_text(json.dumps({"instance": "3f2a91c0ffee-1b2c3d", "units": [unit]}))
    processes.roll_back(paths)
    assert json.loads(paths.processes_record.read_text()) == [unit]


@pytest.mark.parametrize(
    ("words", "module", "function"),
    [
        # The timer gantry-revert, and the error hook of an `up` that is still running.
        (["revert"], probation, "rollback"),
        (["revert", "--wait", "300"], probation, "rollback"),
        # listener.conf of a deployment whose web process isn't Gunicorn.
        (["listening", "3f2a91c0ffee-1b2c3d", "17"], web_server, "wait_until_listening"),
        (["idle", "3f2a91c0ffee-1b2c3d"], web_server, "wait_until_idle"),
        (["joined", "--from", "10.0.1.0/24", "--settle", "15", "--limit", "300"], balancing, "wait_for_balancer"),
    ],
)
def test_the_earlier_name_of_a_command_still_works(
    monkeypatch: pytest.MonkeyPatch, words: list[str], module: object, function: str
):
    calls: list[str] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(module, function, lambda *_, **__: calls.append(function))
    assert cli.main(words) == 0
    assert calls == [function]


def test_a_drop_in_that_waits_as_the_apps_user_leaves_it_to_the_unit(monkeypatch: pytest.MonkeyPatch):
    calls: list[str] = []
    monkeypatch.setattr(os, "geteuid", lambda: 33)
    monkeypatch.setattr(web_server, "wait_until_listening", lambda *_: calls.append("called"))
    assert cli.main(["wait-until-listening", "3f2a91c0ffee-1b2c3d", "17"]) == 0
    assert calls == []


def test_the_help_does_not_show_earlier_names(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert "rollback" in text
    assert not set(re.findall(r"^ +(\S+)", text, re.MULTILINE)) & set(cli.OLD_NAMES)


def test_the_rollback_timer_keeps_the_name_that_running_servers_know(monkeypatch: pytest.MonkeyPatch):
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> object:
        commands.append(command)
        return probation.subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(probation.subprocess, "run", run)
    probation.arm(900)
    assert "--unit=gantry-revert" in commands[0]
    assert commands[0][-2:] == ["/usr/local/bin/gantry", "rollback"]
