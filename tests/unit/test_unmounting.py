"""A server unmounts its volume before that is detached. One that doesn't answer keeps it, unless it is dead."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from typing import Any

import pytest

from components import ssh, unmounting
from components.local import machine
from tests.stack import ROOT

INPUTS: dict[str, Any] = {
    "attachment": "vai-1",
    "host": "a.test",
    "user": "deploy",
    "host_key": "ssh-ed25519 A",
    "private_key": "key",
    "seconds": 60.0,
}


def answer_ssh(monkeypatch: pytest.MonkeyPatch, *results: int | Exception) -> list[str]:
    """Answer the SSH commands, one after the other, with these exit statuses or errors. Returns the commands."""
    commands: list[str] = []
    remaining = list(results)

    def run(_login: ssh.Login, words: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        commands.append(words[0])
        result = remaining.pop(0)
        if isinstance(result, Exception):
            raise result
        return subprocess.CompletedProcess(words, result, b"", b"error: /var/lib/app is in use by bash (812)")

    monkeypatch.setattr(ssh, "run", run)
    monkeypatch.setattr(unmounting, "PAUSE_SECONDS", 0)
    return commands


def test_a_server_that_answers_unmounts(monkeypatch: pytest.MonkeyPatch):
    commands = answer_ssh(monkeypatch, 0, 0)
    unmounting.unmount(INPUTS)
    assert commands == ["true", "sudo gantry unmount-volume --stop 60"]


FAILURES = [ssh.NO_CONNECTION, subprocess.TimeoutExpired("ssh", 10), OSError()]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_server_that_does_not_answer_keeps_its_volume_and_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, failure: int | Exception
):
    commands = answer_ssh(monkeypatch, *[failure] * unmounting.ATTEMPTS)
    with pytest.raises(RuntimeError, match=r"its volume stays attached: .* GANTRY_DEAD_SERVER=a\.test"):
        unmounting.unmount(INPUTS)
    assert commands == ["true"] * unmounting.ATTEMPTS


def test_a_server_that_answers_late_unmounts(monkeypatch: pytest.MonkeyPatch):
    commands = answer_ssh(monkeypatch, ssh.NO_CONNECTION, ssh.NO_CONNECTION, 0, 0)
    unmounting.unmount(INPUTS)
    assert commands == ["true"] * 3 + ["sudo gantry unmount-volume --stop 60"]


@pytest.mark.parametrize("failure", FAILURES)
def test_an_unmount_whose_connection_is_lost_is_run_again(monkeypatch: pytest.MonkeyPatch, failure: int | Exception):
    commands = answer_ssh(monkeypatch, 0, failure, 0, 0)
    unmounting.unmount(INPUTS)
    assert commands[1::2] == ["sudo gantry unmount-volume --stop 60"] * 2


def test_a_server_that_is_lost_during_the_unmount_keeps_its_volume(monkeypatch: pytest.MonkeyPatch):
    answer_ssh(monkeypatch, *[0, ssh.NO_CONNECTION] * unmounting.ATTEMPTS)
    with pytest.raises(RuntimeError, match="its volume stays attached"):
        unmounting.unmount(INPUTS)


def test_a_server_that_the_user_calls_dead_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("GANTRY_DEAD_SERVER", "a.test")
    commands = answer_ssh(monkeypatch, ssh.NO_CONNECTION)
    unmounting.unmount(INPUTS)
    assert commands == ["true"]
    assert "a.test is dead" in capsys.readouterr().out


def test_a_server_that_answers_unmounts_although_the_user_calls_it_dead(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GANTRY_DEAD_SERVER", "a.test")
    commands = answer_ssh(monkeypatch, 0, 0)
    unmounting.unmount(INPUTS)
    assert commands[-1] == "sudo gantry unmount-volume --stop 60"


def test_another_server_that_the_user_calls_dead_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GANTRY_DEAD_SERVER", "b.test")
    answer_ssh(monkeypatch, *[ssh.NO_CONNECTION] * unmounting.ATTEMPTS)
    with pytest.raises(RuntimeError):
        unmounting.unmount(INPUTS)


@pytest.mark.parametrize(("status", "is_dead"), [("stopped", True), ("gone", True), ("running", False)])
def test_a_local_machine_counts_as_dead_only_if_it_does_not_run(
    monkeypatch: pytest.MonkeyPatch, status: str, is_dead: bool
):
    monkeypatch.setattr(machine, "status", lambda _id: status)
    answer_ssh(monkeypatch, *[ssh.NO_CONNECTION] * unmounting.ATTEMPTS)
    inputs = {**INPUTS, "attachment": "i-0a1b2c3d"}
    with nullcontext() if is_dead else pytest.raises(RuntimeError):
        unmounting.unmount(inputs)


def test_a_server_that_cannot_unmount_keeps_its_volume(monkeypatch: pytest.MonkeyPatch):
    answer_ssh(monkeypatch, 0, 1)
    with pytest.raises(RuntimeError, match=r"it stays where it is\n.*in use by bash \(812\)"):
        unmounting.unmount(INPUTS)


def test_only_another_attachment_replaces_the_marker():
    provider = unmounting.UnmountProvider()
    assert provider.diff("vai-1", INPUTS, {**INPUTS}).changes is False
    diff = provider.diff("vai-1", INPUTS, {**INPUTS, "host": "b.test"})
    assert (diff.changes, diff.replaces) == (True, [])
    assert provider.diff("vai-1", INPUTS, {**INPUTS, "attachment": "vai-2"}).replaces == ["attachment"]


def test_the_provider_process_imports_little():
    program = "import sys, components.unmounting; print([name for name in sys.modules if 'jinja' in name])"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
