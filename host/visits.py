"""Weighs the errors that visitors get after a switch: by distinct visitors and routes, against the time before.

One visitor can send any number of requests. So a visitor counts once, and its errors never decide alone.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from host.access_log import Log, LogEntry
from host.crashes import CRASHED_WORKERS, Crash

# Fewer visitors with errors prove nothing: one person may have an IPv4 address and an IPv6 network.
FAILED_VISITORS = 3
# Up to this share of the visitors may get errors.
FAILED_SHARE = 0.1
# The time before the switch: the last ten minutes, or as much of them as these bytes of the log hold.
USUAL_SECONDS = 600
TAIL_BYTES = 1024 * 1024
# Limits of memory, whatever visitors ask for. A route or visitor beyond them isn't told from others or isn't counted.
MOST_ROUTES = 500
MOST_COUNTS = 20_000
MOST_ERRORS_OF_VISITOR = 300
# So many routes are new with one visitor, who can't use up all of them.
MOST_NEW_ROUTES = 50
OTHER_ROUTES = "other pages"
_ERRORS = "visitors got errors after the switch"
# Nginx's status for a request whose web process ended.
_PROCESS_ENDED = 502
# A request fails at most this many seconds before Gunicorn notices the end of its worker. Nginx's clock may be late.
_NOTICED_SECONDS, _CLOCK_SECONDS = 0.5, 0.1
# A visitor that has a part in this share of the crashes may have caused all of them.
_CULPRIT_SHARE = 0.9


@dataclass
class Tally:
    """Requests, and among them failed ones, by route and visitor."""

    requests: int = 0
    failed: int = 0
    routes: dict[str, dict[str, list[int]]] = field(default_factory=dict[str, dict[str, list[int]]])
    _counts: int = 0
    _new_routes: Counter[str] = field(default_factory=Counter[str])

    def add(self, entry: LogEntry) -> str | None:
        """Count an entry; returns the route that it counts for, or None if a limit is reached."""
        route, is_full = entry.route, self._counts >= MOST_COUNTS
        if is_full and entry.visitor not in self.routes.get(route, {}):
            return None
        if route not in self.routes:
            self._new_routes[entry.visitor] += 1
            if len(self.routes) >= MOST_ROUTES or self._new_routes[entry.visitor] > MOST_NEW_ROUTES:
                route = OTHER_ROUTES
        visitors = self.routes.setdefault(route, {})
        self._counts += entry.visitor not in visitors
        count = visitors.setdefault(entry.visitor, [0, 0])
        count[0] += 1
        count[1] += entry.failed
        self.requests += 1
        self.failed += entry.failed
        return route

    @property
    def visitors(self) -> set[str]:
        return {visitor for visitors in self.routes.values() for visitor in visitors}

    def failing_share(self, route: str) -> float:
        """The mean of the visitors' shares of failed requests to a route."""
        shares = [failed / total for total, failed in self.routes.get(route, {}).values()]
        return sum(shares) / len(shares) if shares else 0.0

    def usual_share(self) -> float:
        """The mean of the visitors' shares of failed requests to all routes."""
        totals: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        for visitors in self.routes.values():
            for visitor, (total, failed) in visitors.items():
                totals[visitor][0] += total
                totals[visitor][1] += failed
        return sum(failed / total for total, failed in totals.values()) / len(totals) if totals else 0.0

    def __str__(self) -> str:
        visitors = len(self.visitors)
        many = "" if visitors == 1 else "s"
        return f"{self.failed} of {self.requests} requests failed with 5xx, {visitors} visitor{many}"


@dataclass
class Visits:
    """Requests to a release: ``before`` its switch, read once from the end of the log, and ``since``, by ``update``.

    ``since`` counts only requests that began after ``start``: the old release still finishes earlier ones. ``before``
    ends at ``switched_at``. That is long before ``start`` if an earlier run was killed during its watch.
    """

    path: Path
    switched_at: float
    start: float
    before: Tally = field(default_factory=Tally)
    since: Tally = field(default_factory=Tally)
    # The last failed requests of each visitor, and those whose visitor left, with their routes.
    _errors: dict[str, deque[tuple[str, LogEntry]]] = field(default_factory=dict[str, "deque[tuple[str, LogEntry]]"])

    def __post_init__(self) -> None:
        self._log = Log(self.path, TAIL_BYTES)
        for entry in self._log.new_entries():
            if self.switched_at - USUAL_SECONDS <= entry.began < self.switched_at and entry.status is not None:
                self.before.add(entry)

    def update(self) -> None:
        """Count the new entries of the log."""
        for entry in self._log.new_entries():
            if entry.began >= self.start:
                route = self.since.add(entry) if entry.status is not None else entry.route
                if route is not None and (entry.failed or entry.status is None):
                    self._remember(route, entry)

    @property
    def nobody_came(self) -> bool:
        """Whether no visitor has sent a request since the switch."""
        return not self.since.requests and not self._errors

    def failed_visitors(self, crashes: Sequence[Crash] = ()) -> dict[str, set[str]]:
        """The visitors that got unusual errors, by route. What another visitor may have caused doesn't count.

        ``crashes`` are those of the release's workers, oldest first.
        """
        times = [crash.time for crash in crashes]
        culprit = self._culprit(times) if times else None
        usual = {route for route in self.since.routes if self._is_usual(route)}
        visitors: defaultdict[str, set[str]] = defaultdict(set)
        for visitor, errors in self._errors.items():
            for route, entry in errors:
                is_collateral = culprit not in (None, visitor) and bool(_crashes_of(entry, times))
                if entry.failed and not is_collateral and route not in usual:
                    visitors[route].add(visitor)
        return visitors

    def reason(self, failed: Mapping[str, set[str]]) -> str:
        """Why the release is unhealthy, by the visitors that got errors on each route; or ""."""
        for route, visitors in failed.items():
            if len(visitors) >= FAILED_VISITORS and self._has_turned_bad(route, visitors):
                asked, usual = len(self.since.routes[route]), self.before.failing_share(route)
                return f"{_ERRORS}: {len(visitors)} of the {asked} that sent {route} ({usual:.0%} failed before)"
        everyone, usual = self.since.visitors, self.before.usual_share()
        unlucky = set[str]().union(*failed.values())
        if len(unlucky) >= FAILED_VISITORS and len(unlucky) / len(everyone) > max(FAILED_SHARE, 2 * usual):
            return f"{_ERRORS}: {len(unlucky)} of {len(everyone)}; {self.since} ({usual:.0%} failed before)"
        return ""

    def _remember(self, route: str, entry: LogEntry) -> None:
        if len(self._errors) < MOST_COUNTS or entry.visitor in self._errors:
            errors = self._errors.setdefault(entry.visitor, deque(maxlen=MOST_ERRORS_OF_VISITOR))
            errors.append((route, entry))

    def _has_turned_bad(self, route: str, failed: set[str]) -> bool:
        """Whether a route that was asked for before fails now for more than a few of its visitors."""
        asked = self.since.routes[route]
        return bool(route) and route in self.before.routes and len(failed) / len(asked) > FAILED_SHARE

    def _is_usual(self, route: str) -> bool:
        """Whether the route failed at least half as often before: the release may even repair it in part."""
        before = self.before.failing_share(route)
        return before > 0 and self.since.failing_share(route) <= 2 * before

    def _culprit(self, times: Sequence[float]) -> str | None:
        """The visitor who may have caused all crashes: at nearly each one, a request of theirs failed or was left."""
        needed = max(CRASHED_WORKERS, _CULPRIT_SHARE * len(times))
        for visitor, errors in self._errors.items():
            if len(set[int]().union(*(_crashes_of(entry, times) for _, entry in errors))) >= needed:
                return visitor
        return None


def _crashes_of(entry: LogEntry, times: Sequence[float]) -> range:
    """The positions in ``times`` of the crashes that may have interrupted a request."""
    if entry.status not in (None, _PROCESS_ENDED):
        return range(0)
    first = bisect_left(times, entry.ended - _CLOCK_SECONDS)
    return range(first, bisect_right(times, entry.ended + _NOTICED_SECONDS))
