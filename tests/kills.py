"""SIGKILL for what a test has started, and for all that belongs to it."""

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


def kill_up_once_it_says(stack: Stack, words: str) -> None:
    """Run `up` until a line of its output has ``words``; the engine and its plugins end, machines stay."""
    command = stack.command("up", "--yes", "--skip-preview")
    with subprocess.Popen(
        command, cwd=ROOT, env=stack.environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdout
        seen = False
        for line in run.stdout:
            if words in line and not seen:
                seen = True
                kill_session(run.pid)
    assert seen, f"up has never said {words!r}"


def kill_session(leader: int) -> None:
    """Every process of the session, also what one of them has started meanwhile; a plugin has a group of its own, a
    machine a session of its own."""
    deadline = time.monotonic() + 10
    while mine := _of_session(leader):
        assert time.monotonic() < deadline, f"processes that don't end: {mine}"
        _kill(mine)
        time.sleep(0.02)


def _of_session(leader: int) -> list[int]:
    """Those that haven't ended."""
    mine: list[int] = []
    for process in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = process.read_text().rpartition(")")[2].split()
            if fields[0] != "Z" and fields[3] == str(leader):
                mine.append(int(process.parent.name))
    return mine


def kill_machine(instance_id: str) -> None:
    """Every process of a local machine, its supervisor first."""
    supervisor = launch.supervisor(machine.folder_of(instance_id))
    assert supervisor
    _kill([supervisor, *descendants(supervisor)])


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # its parent's end was its own
            os.kill(process, signal.SIGKILL)
