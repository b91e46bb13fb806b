from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from components import draining, ssh
from tests.stack import ROOT

INPUTS: dict[str, Any] = {
    "instance_id": "i-1",
    "host": "a.test",
    "user": "deploy",
    "host_key": "ssh-ed25519 A",
    "private_key": "key",
    "seconds": 45,
}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait."""
    seconds: list[float] = []
    monkeypatch.setattr(draining.time, "sleep", seconds.append)
    return seconds


def answer_ssh(monkeypatch: pytest.MonkeyPatch, *results: int | Exception) -> list[list[str]]:
    """Answer the SSH commands, one after the other, with these exit statuses or errors. Returns the commands."""
    commands: list[list[str]] = []
    remaining = list(results)

    def run(login: ssh.Login, words: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        commands.append([login.address, *words])
        result = remaining.pop(0)
        if isinstance(result, Exception):
            raise result
        return subprocess.CompletedProcess(words, result)

    monkeypatch.setattr(ssh, "run", run)
    return commands


def test_a_server_first_fails_its_health_checks_and_then_finishes_its_requests(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
):
    commands = answer_ssh(monkeypatch, 0)
    draining.drain(INPUTS)
    assert commands == [["a.test", "sudo touch /run/gantry-leaving"]]
    assert waits == [45]


def test_after_one_failed_connection_the_drain_tries_again(monkeypatch: pytest.MonkeyPatch, waits: list[float]):
    answer_ssh(monkeypatch, 255, 0)
    draining.drain(INPUTS)
    assert waits == [45]


def test_a_server_that_cannot_be_reached_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, waits: list[float]):
    commands = answer_ssh(monkeypatch, subprocess.TimeoutExpired("ssh", 10), 255)
    draining.drain(INPUTS)
    assert len(commands) == draining.ATTEMPTS
    assert waits == []


def test_only_another_server_replaces_the_drain():
    provider = draining.DrainProvider()
    assert provider.diff("i-1", INPUTS, {**INPUTS}).changes is False
    diff = provider.diff("i-1", INPUTS, {**INPUTS, "host": "b.test", "__provider": "new"})
    assert (diff.changes, diff.replaces) == (True, [])
    assert provider.diff("i-1", INPUTS, {**INPUTS, "instance_id": "i-2"}).replaces == ["instance_id"]


def test_the_provider_process_of_every_up_imports_little():
    program = (
        "import sys, pulumi.dynamic, components.leaving, components.draining; "
        "print([name for name in sys.modules if 'jinja' in name])"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
