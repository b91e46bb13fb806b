"""`gantry update --now`, which goes on without the terminal that it was typed in."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from components.server.configuration import configuration
from host import cli, update_unit, updates
from tests.stack_settings import make_settings


def test_an_update_at_once_runs_in_a_unit_and_has_its_exit_status(monkeypatch: pytest.MonkeyPatch):
    commands = list[list[str]]()

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(update_unit.subprocess, "run", run)
    assert cli.main(["update", "--now", "--settle", "2.5"]) == 1
    [words] = commands
    assert words[:5] == ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"]
    inner = words[words.index("--") + 1 :]
    assert inner == ["/usr/local/bin/gantry", "update", "--now", "--in-unit", "--settle=2.5"]
    calls = list[dict[str, Any]]()
    monkeypatch.setattr(updates, "update", lambda _, **options: calls.append(options))
    assert cli.main(inner[1:]) == 0
    assert cli.main(["update"]) == 0
    assert [(call["at_once"], call["settle"]) for call in calls] == [(True, 2.5), (False, 15)]


def test_both_units_of_an_update_have_the_same_properties():
    lines = configuration(make_settings(), "/h.pyz").files["/etc/systemd/system/gantry-updates.service"].splitlines()
    assert {*update_unit.PROPERTIES} <= {*lines}
