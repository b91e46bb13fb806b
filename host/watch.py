"""The watch: a release that turns unhealthy in its first seconds is found while the old release still runs."""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host import deployment, health, health_advice, times
from host.access_log import RequestCounts, Share
from host.errors import ReleaseError
from host.health_check import Answer, HealthCheck

# A single crash may be a coincidence.
CRASHED_WORKERS = 2
# With fewer failed requests, their share says nothing.
FAILED_REQUESTS = 5
FAILED_SHARE = 0.1
# Lines that Gunicorn's master writes: gunicorn/arbiter.py.
_CRASH = re.compile(r"Worker \(pid:\d+\) (?:exited with code|was sent) .*")


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The results of one look at the new release. The counts are for the whole watch so far."""

    failed_checks: int
    answer: Answer
    active: str
    restarts: int
    crashes: list[str]
    before: Share
    since: Share


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """What to watch, for how many ``seconds``, and where Nginx logs the requests to it.

    ``switched_at`` is when the deployment began to serve, in seconds since the epoch.
    """

    deployment: str
    health_check: HealthCheck
    seconds: float
    log: Path
    switched_at: float


def watch(options: WatchOptions) -> str:
    """Watch a deployment that serves; returns a summary of its requests. Raises ReleaseError if it is unhealthy."""
    name, check = options.deployment, options.health_check
    start, restarts_before = time.time(), deployment.unit_state(name).restarts
    counts = RequestCounts(options.log, options.switched_at, start + times.MOVED_SECONDS)
    deadline, failed_checks = time.monotonic() + options.seconds, 0
    while True:
        answer = health.site_answer(check, health.ANSWER_SECONDS)
        failed_checks = 0 if check.is_healthy(answer) else failed_checks + 1
        unit = deployment.unit_state(name)
        observation = Observation(
            failed_checks=failed_checks,
            answer=answer,
            active=unit.active,
            restarts=unit.restarts - restarts_before,
            crashes=_crashes(name, start),
            before=counts.before,
            since=counts.update(),
        )
        if reason := unhealthy_reason(observation, check):
            is_check = observation.failed_checks >= health.FAILED_CHECKS
            raise ReleaseError(reason, health_advice.advice(check, answer) if is_check else "")
        # After a failed check, the watch continues beyond its end until the next check decides.
        if time.monotonic() >= deadline and not failed_checks:
            return str(counts.since) if counts.since.total else "no visitors"
        time.sleep(max(0.0, min(check.interval or times.WATCH_INTERVAL_SECONDS, deadline - time.monotonic())) or 0.1)


@contextmanager
def crashes_named(name: str, switched_at: float) -> Generator[None]:
    """Replaces a ReleaseError of the block by the reason that workers crashed, if at least ``CRASHED_WORKERS`` did.

    ``name`` is the deployment's. Crashes count from ``switched_at`` on, in seconds since the epoch.
    """
    try:
        yield
    except ReleaseError:
        # The crashes are the cause; the bad answer only followed from them.
        if reason := _crash_reason(_crashes(name, switched_at)):
            raise ReleaseError(reason) from None
        raise


def _crashes(name: str, since: float) -> list[str]:
    """Gunicorn's lines about workers of the deployment that crashed, from ``since`` on, in seconds since the epoch."""
    return _CRASH.findall(deployment.journal_since(name, since))


def _crash_reason(crashes: list[str]) -> str:
    """The reason why a release is unhealthy; empty if too few workers crashed."""
    has_crashed = len(crashes) >= CRASHED_WORKERS
    return f"workers of the app crashed after the switch: {crashes[-1]}" if has_crashed else ""


def unhealthy_reason(observation: Observation, check: HealthCheck) -> str | None:
    """Why the release is unhealthy, or None if it is healthy."""
    if observation.active not in ("active", "reloading"):
        return f"the app ended after the switch (its unit is {observation.active})"
    if observation.restarts > 0:
        return f"the app ended after the switch and was restarted ({observation.restarts}x)"
    if reason := _crash_reason(observation.crashes):
        return reason
    if observation.failed_checks >= health.FAILED_CHECKS:
        return f"the site turned unhealthy after the switch: GET {check.path} answered {observation.answer}"
    # Up to twice the usual share is accepted: a release that repairs a failing app must get through.
    before, since = observation.before, observation.since
    if since.failed >= FAILED_REQUESTS and since.part > max(FAILED_SHARE, 2 * before.part):
        return f"visitors got errors after the switch: {since} ({before.part:.0%} before)"
    return None
