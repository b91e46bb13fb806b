"""Reads Nginx's access log: how many requests reached the app, and how many of them failed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# The usual share of failures is that of the last minute before the switch, or of the part of that minute that these
# bytes hold: some thousands of requests.
USUAL_SECONDS = 60
TAIL_BYTES = 256 * 1024


@dataclass
class Share:
    """Failed requests out of all requests."""

    failed: int = 0
    total: int = 0

    @property
    def part(self) -> float:
        return self.failed / self.total if self.total else 0.0

    def __str__(self) -> str:
        return f"{self.failed} of {self.total} requests failed with 5xx"

    def add(self, failed: bool) -> None:
        self.total += 1
        self.failed += failed


@dataclass(frozen=True)
class LogEntry:
    """A request that reached the app: its start in seconds since the epoch, the client's address, and the status."""

    began: float
    address: str
    status: int

    @property
    def failed(self) -> bool:
        return self.status >= 500


@dataclass
class Log:
    """Reads what Nginx appends: lines ``<time> <seconds> <address> "<statuses of the app>"``, see site.nginx.conf.j2.

    It begins ``tail`` bytes before the end.
    """

    path: Path
    tail: int = 0
    _offset: int = 0
    _inode: int = 0

    def __post_init__(self) -> None:
        if self.path.exists():
            file = self.path.stat()
            self._offset, self._inode = max(0, file.st_size - self.tail), file.st_ino

    def new_entries(self) -> Iterator[LogEntry]:
        """The entries since the last call."""
        try:
            with self.path.open("rb") as stream:
                file = os.fstat(stream.fileno())
                # The log was rotated. The last lines of the old file aren't worth keeping it open.
                if file.st_ino != self._inode or file.st_size < self._offset:
                    self._inode, self._offset = file.st_ino, 0
                stream.seek(self._offset)
                content = stream.read()
        except FileNotFoundError:
            return
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        yield from filter(None, map(_entry, complete.decode(errors="replace").splitlines()))


@dataclass
class RequestCounts:
    """Counts failed requests: ``before`` the switch, read once from the end of the log, and ``since``, by ``update``.

    ``since`` counts only requests that began after ``start``: the old release still finishes earlier ones. ``before``
    ends at ``switched_at``. That is long before ``start`` if an earlier run was killed during its watch.
    """

    path: Path
    switched_at: float
    start: float
    before: Share = field(default_factory=Share)
    since: Share = field(default_factory=Share)

    def __post_init__(self) -> None:
        self._log = Log(self.path, TAIL_BYTES)
        for entry in self._log.new_entries():
            if self.switched_at - USUAL_SECONDS <= entry.began < self.switched_at:
                self.before.add(entry.failed)

    def update(self) -> Share:
        """Count the new entries of the log; returns ``since``."""
        for entry in self._log.new_entries():
            if entry.began >= self.start:
                self.since.add(entry.failed)
        return self.since


def _entry(line: str) -> LogEntry | None:
    """None for this program's own health checks, and for requests that Nginx answered itself."""
    try:
        ended, seconds, address, statuses = line.split(" ", 3)
        # Nginx may have tried twice: "502, 200". The visitor got the last answer.
        status = statuses.strip('"').replace(":", ",").split(",")[-1].strip()
        if address == "127.0.0.1" or not status.isdecimal():
            return None
        return LogEntry(float(ended) - float(seconds), address, int(status))
    except ValueError:
        # The tail of the log may begin in the middle of a line.
        return None
