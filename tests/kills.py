"""Kills processes that a test has started, with SIGKILL and with all their descendants."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from components.local import launch, machine
from tests.plugin.sshd import descendants
from tests.stack import ROOT, Stack


def kill_up_at_output(stack: Stack, text: str) -> None:
    """Run `up` and kill it, with engine and plugins, when a line of its output contains ``text``. Machines survive."""
    command = stack.command("up", "--yes", "--skip-preview")
    with subprocess.Popen(
        command, cwd=ROOT, env=stack.env(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as up:
        assert up.stdout
        killed = False
        for line in up.stdout:
            if text in line and not killed:
                killed = True
                kill_session(up.pid)
    assert killed, f"up never printed {text!r}"


def kill_session(leader: int) -> None:
    """Kill every process of a session, also those that start meanwhile.

    A plugin has its own process group, so killing one group isn't enough. A machine has its own session and survives.
    """
    deadline = time.monotonic() + 10
    while processes := _session(leader):
        assert time.monotonic() < deadline, f"these processes don't end: {processes}"
        _kill(processes)
        time.sleep(0.02)


def _session(leader: int) -> list[int]:
    """The processes of a session that haven't ended."""
    processes: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, _, session, *_ = stat.read_text().rpartition(")")[2].split()
            if state != "Z" and session == str(leader):
                processes.append(int(stat.parent.name))
    return processes


def kill_machine(instance_id: str) -> None:
    """Kill every process of a local machine, its supervisor first."""
    supervisor = launch.supervisor(machine.folder_of(instance_id))
    assert supervisor
    _kill([supervisor, *descendants(supervisor)])


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # it ended together with its parent
            os.kill(process, signal.SIGKILL)
