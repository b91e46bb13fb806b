"""Watching a new release serve: what turns bad within the first seconds is found before the old one is gone."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from host import health, web
from host.errors import ReleaseError
from host.visitors import Share, Visitors

INTERVAL_SECONDS = 0.5
# An answer that takes longer than this counts as none.
ANSWER_SECONDS = 5.0
# Once may be chance, twice is a habit.
FAILED_ANSWERS = 2
CRASHED_WORKERS = 2
# With fewer failed requests a share says nothing.
FAILED_REQUESTS = 5
FAILED_SHARE = 0.1
# Nginx keeps a connection to the old release for 150 ms at the most: keepalive_time and keepalive_timeout in
# site.nginx.conf.j2. With some room for a busy machine.
MOVED_SECONDS = 0.2
# Gunicorn's own words, in gunicorn/arbiter.py.
_CRASH = re.compile(r"Worker \(pid:\d+\) (?:exited with code|was sent) .*")


@dataclass
class Watched:
    """What one look at the new release saw; the numbers are of the whole watch so far."""

    failed_answers: int
    answer: str
    state: str
    restarts: int
    crashes: list[str]
    before: Share
    since: Share


def watch(instance: str, asked: health.Health, seconds: float, log: Path, switched: float) -> str:
    """Look for so many seconds at what serves since ``switched``; says what was seen.

    Raises ReleaseError with what was bad.
    """
    start, restarts = time.time(), web.state(instance).restarts
    visitors = Visitors(log, switched, start + MOVED_SECONDS)
    deadline, failed_answers = time.monotonic() + seconds, 0
    while True:
        said = health.answer(asked, ANSWER_SECONDS)
        failed_answers = 0 if asked.good(said) else failed_answers + 1
        now = web.state(instance)
        crashes = _CRASH.findall(web.journal_since(instance, start))
        seen = Watched(
            failed_answers, said, now.active, now.restarts - restarts, crashes, visitors.before, visitors.read()
        )
        if bad := verdict(seen, asked):
            raise ReleaseError(bad)
        # One that doesn't answer at the very end is asked once more.
        if time.monotonic() >= deadline and not failed_answers:
            return str(seen.since) if seen.since.total else "no visitors"
        time.sleep(max(0.0, min(asked.interval or INTERVAL_SECONDS, deadline - time.monotonic())) or 0.1)


def verdict(seen: Watched, asked: health.Health) -> str | None:
    """What is bad about what was seen, or None."""
    if seen.state not in ("active", "reloading"):
        return f"the app ended after the switch (its unit is {seen.state})"
    if seen.restarts > 0:
        return f"the app ended after the switch and was restarted ({seen.restarts}x)"
    if len(seen.crashes) >= CRASHED_WORKERS:
        return f"workers of the app crashed after the switch: {seen.crashes[-1]}"
    if seen.failed_answers >= FAILED_ANSWERS:
        return f"the site turned unhealthy after the switch: GET {asked.path} answered {seen.answer}"
    # Twice the usual: a release that mends an app which fails must get through.
    limit = max(FAILED_SHARE, 2 * seen.before.part)
    if seen.since.failed >= FAILED_REQUESTS and seen.since.part > limit:
        return f"visitors got errors after the switch: {seen.since} ({seen.before.part:.0%} before)"
    return None
