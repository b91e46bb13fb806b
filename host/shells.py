"""Stops programs that a shell waits for, such as those of `./start.sh` or `a | tee log`.

systemd sends SIGTERM to the main process only, and kills the others when that has ended. A shell would end at once, and
its program would be killed with its requests. So before that, this module lets the program end.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SHELLS = frozenset(("ash", "bash", "busybox", "dash", "ksh", "sh", "zsh"))
_ENDED = ("Z", "X")


@dataclass(frozen=True)
class Process:
    """A running process. ``start`` tells it from a later process with the same id."""

    id: int
    parent: int
    start: int

    @property
    def is_shell(self) -> bool:
        return _link(self.id, "exe").rpartition("/")[2].removesuffix(" (deleted)") in SHELLS

    @property
    def reads_from(self) -> str:
        return _link(self.id, "fd/0")

    @property
    def writes_to(self) -> set[str]:
        return {_link(self.id, "fd/1"), _link(self.id, "fd/2")}


def stop_programs(main: int) -> None:
    """If the main process of a unit is a shell, stop the programs below it and wait for their end.

    The shells are suspended, so that they don't begin the next command. systemd ends and continues them afterwards. It
    also limits the time of this function, by TimeoutStopSec.
    """
    for process in _shells(main):
        _send(process, signal.SIGSTOP)
    programs = _programs(main)
    pipes = {pipe for program in programs for pipe in program.writes_to if pipe.startswith("pipe:")}
    # The last program of a pipeline ends by itself when the others have ended. Until then it may have to write.
    last = [program for program in programs if program.reads_from in pipes]
    _terminate([program for program in programs if program not in last])
    if not _wait(last, seconds=1):
        _terminate(last)


def _terminate(programs: Iterable[Process]) -> None:
    """Ask programs to end, and wait until they have."""
    for program in programs:
        _send(program, signal.SIGTERM)
    _wait(programs)


def _shells(main: int) -> Iterator[Process]:
    """The main process if it is a shell, and the shells below it that no other program has started."""
    processes = _processes()
    pending = [process for process in processes if process.id == main]
    while pending:
        process = pending.pop()
        if process.is_shell:
            yield process
            pending += [child for child in processes if child.parent == process.id]


def _programs(main: int) -> list[Process]:
    """The programs whose parents are those shells."""
    shells = {shell.id for shell in _shells(main)}
    return [process for process in _processes() if process.parent in shells and not process.is_shell]


def _wait(processes: Iterable[Process], seconds: float = float("inf")) -> bool:
    """Wait until all processes have ended, at most for ``seconds``; returns whether they have."""
    deadline, remaining = time.monotonic() + seconds, set(processes)
    while remaining := remaining & set(_processes()):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def _send(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process.id, number)


def _processes() -> list[Process]:
    """All processes that haven't ended. A process whose parent hasn't asked for its exit status has ended, too."""
    processes = list[Process]()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # proc(5): after the program's name in parentheses come the state, the parent, and as the 20th the start.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] not in _ENDED:
                processes.append(Process(int(folder.name), parent=int(fields[1]), start=int(fields[19])))
    return processes


def _link(process: int, name: str) -> str:
    with suppress(OSError):
        return str(Path(f"/proc/{process}/{name}").readlink())
    return ""
