"""Reads Nginx's access log: which visitor asked for which route, and what the app answered.

Visitors choose methods and paths, and nothing else in this log. Nginx escapes quotes and control characters, and cuts
paths: cloud-init/site/upstream.conf.j2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from pathlib import Path

from host.log_lines import LogLines

# One look reads this much: some ten thousand requests, in about a tenth of a second. Of more, it reads the end.
LOOK_BYTES = 1024 * 1024
# A line of an earlier version ends after the statuses of the app.
_LINE = re.compile(
    r"(?P<ended>\d{1,12}\.\d{3}) (?P<seconds>\d{1,9}\.\d{3}) (?P<address>[0-9A-Fa-f.:]+|unix:)"
    r' "(?P<upstream>[^"]*)"(?: (?P<status>\d{3}) (?P<method>\S{1,50}) "(?P<path>[^"]*)")?',
    re.ASCII,
)
# This program's own health checks.
_OWN_ADDRESS = "127.0.0.1"
# Nginx's status for a visitor who has left before the answer.
_LEFT = "499"
# A provider gives a customer at least this many bits of addresses.
_NETWORK_BITS = 64
_LONGEST_NAME = 32
_MOST_SEGMENTS = 6


@dataclass(frozen=True)
class LogEntry:
    """A request that reached the app: its start and end in seconds since the epoch, and what the app answered.

    ``status`` is None if the client has left before the app answered. ``route`` is the method with the pattern of the
    path; it is empty in lines of an earlier version.
    """

    began: float
    ended: float
    address: str
    status: int | None
    route: str = ""

    @property
    def failed(self) -> bool:
        return self.status is not None and self.status >= 500

    @property
    def visitor(self) -> str:
        """Who sent it: an IPv4 address, or the network of an IPv6 address, from which one client chooses freely."""
        return _visitor(self.address)


@dataclass
class Log:
    """Reads what Nginx appends: lines of the format ``gantry``, see upstream.conf.j2.

    It begins ``tail`` bytes before the end.
    """

    path: Path
    tail: int = 0

    def __post_init__(self) -> None:
        self._lines = LogLines(self.path, self.tail)

    def new_entries(self) -> Iterator[LogEntry]:
        """The entries since the last call, of at most ``LOOK_BYTES``."""
        yield from filter(None, map(parse, self._lines.read(LOOK_BYTES)))


def parse(line: str) -> LogEntry | None:
    """None for this program's own health checks, for requests that Nginx answered itself, and for incomplete lines."""
    match = _LINE.fullmatch(line)
    if match is None or match["address"] == _OWN_ADDRESS:
        return None
    # Nginx may have tried twice: "502, 200". The visitor got the last answer.
    last = match["upstream"].replace(":", ",").split(",")[-1].strip()
    status = int(last) if re.fullmatch(r"[0-9]{3}", last) else None
    if status is None and match["status"] != _LEFT:
        return None
    ended = float(match["ended"])
    route = f"{match['method']} {pattern(match['path'])}" if match["method"] else ""
    return LogEntry(ended - float(match["seconds"]), ended, match["address"], status, route)


@lru_cache(maxsize=4096)
def pattern(path: str) -> str:
    """The path without its values: a segment with a digit, or a long one, is ``*``. So is the end of a long path."""
    first, *segments = path.partition("?")[0].split("/")
    shown = ["*" if len(name) > _LONGEST_NAME or re.search(r"\d", name) else name for name in segments]
    return "/".join([first[:_LONGEST_NAME], *shown[:_MOST_SEGMENTS], *(["*"] if len(shown) > _MOST_SEGMENTS else [])])


@lru_cache(maxsize=4096)
def _visitor(address: str) -> str:
    if ":" not in address:
        return address
    try:
        full = IPv6Address(address)
    except AddressValueError:
        return address
    if full.ipv4_mapped:
        return str(full.ipv4_mapped)
    return f"{IPv6Address(int(full) >> (128 - _NETWORK_BITS) << (128 - _NETWORK_BITS))}/{_NETWORK_BITS}"
