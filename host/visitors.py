"""What visitors get, as Nginx wrote it down: how many requests reached the app, and how many of those failed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# What was usual: the last minute before the switch, or as much of it as this holds, some thousands of requests.
USUAL_SECONDS = 60
TAIL_BYTES = 256 * 1024


@dataclass
class Share:
    """Failed requests among all."""

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
class Request:
    """One that reached the app: when it began, in seconds of the epoch, whose it was, and HTTP's status."""

    began: float
    address: str
    status: int

    @property
    def failed(self) -> bool:
        return self.status >= 500


@dataclass
class Log:
    """What Nginx adds to its log: lines ``<time> <seconds> <address> "<statuses of the app>"``, site.nginx.conf.j2.

    ``tail`` is how many bytes before the end it begins.
    """

    path: Path
    tail: int = 0
    _offset: int = 0
    _inode: int = 0

    def __post_init__(self) -> None:
        if self.path.exists():
            found = self.path.stat()
            self._offset, self._inode = max(0, found.st_size - self.tail), found.st_ino

    def new(self) -> Iterator[Request]:
        """What came since the last time."""
        try:
            with self.path.open("rb") as stream:
                found = os.fstat(stream.fileno())
                # Rotated: what the old file got in its last moment is not worth keeping it open.
                if found.st_ino != self._inode or found.st_size < self._offset:
                    self._inode, self._offset = found.st_ino, 0
                stream.seek(self._offset)
                content = stream.read()
        except FileNotFoundError:
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        yield from filter(None, map(_request, whole.decode(errors="replace").splitlines()))


@dataclass
class Visitors:
    """Reads the log's end when made, for ``before``; ``read`` adds what came since to ``since``.

    Only requests that began after ``start`` count: the old release still finishes those from before. What was usual
    ends with the switch, at ``switched``, which is long ago where a watch that was killed is begun again.
    """

    path: Path
    switched: float
    start: float
    before: Share = field(default_factory=Share)
    since: Share = field(default_factory=Share)

    def __post_init__(self) -> None:
        self._log = Log(self.path, TAIL_BYTES)
        for request in self._log.new():
            if self.switched - USUAL_SECONDS <= request.began < self.switched:
                self.before.add(request.failed)

    def read(self) -> Share:
        for request in self._log.new():
            if request.began >= self.start:
                self.since.add(request.failed)
        return self.since


def _request(line: str) -> Request | None:
    """None for our own, and for what Nginx answered by itself."""
    try:
        ended, seconds, address, statuses = line.split(" ", 3)
        # Nginx may have tried twice, "502, 200": the visitor got the last.
        status = statuses.strip('"').replace(":", ",").split(",")[-1].strip()
        if address == "127.0.0.1" or not status.isdecimal():
            return None
        return Request(float(ended) - float(seconds), address, int(status))
    except ValueError:
        return None  # the first line of the tail is cut
