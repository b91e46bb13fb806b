"""When this server may update itself: its own slot of the setting updateWindow. Pure functions, except ``read``.

The window is cut into slots. Each server of a stack has one slot, and so has the local target's balancer. So no two of
them restart anything at the same time. With more servers than slots, each one has its slot every second or third day.
All times are in UTC.
"""

from __future__ import annotations

import json
import math
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from host.paths import Paths

# Long enough for an update with a slow download, a drain and a reboot.
SLOT_MINUTES = 15
SLOT_SECONDS = 60 * SLOT_MINUTES
_DAY_MINUTES, _DAY_SECONDS = 24 * 60, 24 * 60 * 60
# A stack without a window has a timer, too. It tells why nothing happens.
_NO_WINDOW = "03:00-05:00"
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of each day, in minutes after midnight. It may go on after midnight."""

    start: int
    minutes: int

    @property
    def slots(self) -> int:
        return self.minutes // SLOT_MINUTES

    def days(self, servers: int) -> int:
        """In how many days each of so many servers has one slot. A local balancer counts as one."""
        return math.ceil(servers / self.slots)


def parse(text: str) -> Window:
    """The window in a text such as 03:00-05:00. Raises ValueError if it is none, or has no room for a slot."""
    match = _WINDOW.fullmatch(text)
    if not match:
        raise ValueError("not a window")
    hour, minute, last_hour, last_minute = map(int, match.groups())
    start, end = 60 * hour + minute, 60 * last_hour + last_minute
    window = Window(start=start, minutes=(end - start) % _DAY_MINUTES)
    if not window.slots:
        raise ValueError("too short")
    return window


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How this server updates itself.

    ``days`` is the result of ``Window.days`` for the stack, and ``number`` the number of this server in it, from 0.
    ``drains`` says that a balancer can send requests to other servers. ``reboots`` says that a reboot is allowed.
    """

    window: Window | None
    days: int = 1
    number: int = 0
    drains: bool = False
    reboots: bool = False

    def slot_end(self, now: float) -> float | None:
        """The end of this server's slot, in seconds since the epoch; None if ``now`` isn't in the slot."""
        if self.window is None:
            return None
        day, seconds = divmod(now - 60 * self.window.start, _DAY_SECONDS)
        own_day, slot = divmod(self.number % (self.window.slots * self.days), self.window.slots)
        if day % self.days != own_day or seconds // SLOT_SECONDS != slot:
            return None
        return now - seconds + (slot + 1) * SLOT_SECONDS

    def next_slot(self, now: float) -> float | None:
        """When the next slot of this server begins, in seconds since the epoch; None without a window."""
        if self.window is None:
            return None
        first = now - (now - 60 * self._slot_minute) % _DAY_SECONDS
        starts = (first + day * _DAY_SECONDS for day in range(1, self.days + 1))
        return next(start for start in starts if self.slot_end(start))

    @property
    def calendar(self) -> str:
        """The slot of each day, as OnCalendar of a timer."""
        return f"*-*-* {self._slot_minute // 60:02}:{self._slot_minute % 60:02}:00 UTC"

    @property
    def _slot_minute(self) -> int:
        window = self.window or parse(_NO_WINDOW)
        return (window.start + self.number % window.slots * SLOT_MINUTES) % _DAY_MINUTES


def read(paths: Paths) -> Plan | None:
    """The plan of this server, from its configuration; None if that is of an earlier version."""
    if not paths.update_settings.exists():
        return None
    return plan(paths.update_settings.read_text(), socket.gethostname())


def plan(settings: str, host_name: str) -> Plan:
    """The plan in the file of the configuration, which is the same on all servers of a stack.

    A server's number is the end of its host name, such as dev-3. The file has a number only for a local balancer.
    """
    document = json.loads(settings)
    number = re.search(r"-(\d+)$", host_name)
    return Plan(
        window=parse(document["window"]) if document["window"] else None,
        days=document["days"],
        number=int(number[1]) if document["number"] is None and number else document["number"] or 0,
        drains=document["drains"],
        reboots=document["reboots"],
    )


def computed_files(files: Mapping[str, str]) -> Mapping[str, str]:
    """The timer's drop-in with the slot of this server, by absolute path, for a configuration with these files."""
    settings = files.get(str(Paths().update_settings))
    if settings is None:
        return {}
    calendar = plan(settings, socket.gethostname()).calendar
    return {str(Paths().update_slot): f"[Timer]\nOnCalendar={calendar}\n"}
