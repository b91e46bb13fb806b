from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from components import draining, ssh
from tests.stack import ROOT

INPUTS: dict[str, Any] = {
    "instance_id": "i-1", "host": "a.test", "user": "deploy", "host_key": "ssh-ed25519 A", "private_key": "key",
    "seconds": 45,
}  # fmt: skip


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(draining.time, "sleep", waited.append)
    return waited


def answers(monkeypatch: pytest.MonkeyPatch, *codes: int | Exception) -> list[list[str]]:
    """What the server is asked, as it answers with these."""
    asked: list[list[str]] = []
    left = list(codes)

    def run(login: ssh.Login, words: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        asked.append([login.address, *words])
        code = left.pop(0)
        if isinstance(code, Exception):
            raise code
        return subprocess.CompletedProcess(words, code)

    monkeypatch.setattr(ssh, "run", run)
    return asked


def test_a_server_fails_its_checks_first_and_then_has_time_to_finish(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
):
    asked = answers(monkeypatch, 0)
    draining.drain(INPUTS)
    assert asked == [["a.test", "sudo touch /run/gantry-leaving"]]
    assert waits == [45]


def test_one_connection_that_fails_is_not_the_end(monkeypatch: pytest.MonkeyPatch, waits: list[float]):
    answers(monkeypatch, 255, 0)
    draining.drain(INPUTS)
    assert waits == [45]


def test_a_server_that_is_gone_holds_nothing_up(monkeypatch: pytest.MonkeyPatch, waits: list[float]):
    asked = answers(monkeypatch, subprocess.TimeoutExpired("ssh", 10), 255)
    draining.drain(INPUTS)
    assert len(asked) == draining.ATTEMPTS
    assert waits == []


def test_only_another_server_is_another_leaving():
    provider = draining.DrainProvider()
    assert provider.diff("i-1", INPUTS, {**INPUTS}).changes is False
    changed = provider.diff("i-1", INPUTS, {**INPUTS, "host": "b.test", "__provider": "new"})
    assert (changed.changes, changed.replaces) == (True, [])
    assert provider.diff("i-1", INPUTS, {**INPUTS, "instance_id": "i-2"}).replaces == ["instance_id"]


def test_the_provider_process_of_every_up_imports_little():
    program = "import sys, pulumi.dynamic, components.leaving, components.draining;"
    program += " print([name for name in sys.modules if 'jinja' in name])"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
