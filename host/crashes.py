"""Crashed workers of a deployment's Gunicorn, as Gunicorn itself counts them.

Gunicorn's hook ``child_exit`` writes them to a file beside the deployment's socket: cloud-init/gunicorn.conf.py.j2.
Nothing here reads a log: visitors choose texts that an app logs.
"""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from host import systemd

# A single crash may be an accident, such as full memory.
CRASHED_WORKERS = 2
# The hook keeps the last 100 crashes, which need less than a third of this.
MOST_BYTES = 8192
_LINE = re.compile(rb"([0-9]{1,12}\.[0-9]{3}) ([0-9]{1,5})")
# Gunicorn itself ends workers with it.
_USUAL_SIGNALS = (signal.SIGTERM,)


@dataclass(frozen=True)
class Crash:
    """The end of a worker: its time in seconds since the epoch, and its wait status."""

    time: float
    status: int

    def __str__(self) -> str:
        if not os.WIFSIGNALED(self.status):
            return f"exit status {os.WEXITSTATUS(self.status)}"
        return f"killed by {systemd.signal_name(os.WTERMSIG(self.status))}"


def read(record: Path) -> list[Crash]:
    """The crashes in a deployment's record, oldest first; none if there is no record.

    The app's user writes the record, so it may be any kind of file with any content.
    """
    with suppress(OSError):
        descriptor = os.open(record, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return parse(stream.read(MOST_BYTES))
    return []


def parse(content: bytes) -> list[Crash]:
    """The crashes in lines ``<time> <wait status>``. Other lines are skipped, and so are usual ends."""
    matches = filter(None, map(_LINE.fullmatch, content.split(b"\n")))
    crashes = [Crash(float(match[1]), int(match[2])) for match in matches]
    return [crash for crash in crashes if _is_crash(crash.status)]


def since(crashes: Sequence[Crash], start: float) -> list[Crash]:
    """The crashes from ``start`` on, in seconds since the epoch."""
    return [crash for crash in crashes if crash.time >= start]


def _is_crash(status: int) -> bool:
    return os.WTERMSIG(status) not in _USUAL_SIGNALS if os.WIFSIGNALED(status) else os.WEXITSTATUS(status) != 0
