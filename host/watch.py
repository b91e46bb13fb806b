"""The watch: a release that turns unhealthy in its first seconds is found while the old release still runs.

Visitors can't decide it by what they send: it reads no text that they choose, and counts each visitor once.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host import crashes, deployment, health, health_advice, times
from host.crashes import CRASHED_WORKERS, Crash
from host.errors import ReleaseError
from host.health_check import Answer, HealthCheck
from host.visits import FAILED_VISITORS, USUAL_SECONDS, Visits

# Crashes in the time before are compared with at least this many seconds of the new release.
_LEAST_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The results of one look at the new release, for the whole watch so far.

    ``has_restarted``: systemd has started it again. ``unlucky``: how many visitors got errors that no other visitor may
    have caused. ``errors``: why these are too many, or "".
    """

    failed_checks: int
    answer: Answer
    active: str
    has_restarted: bool
    crashes: Sequence[Crash]
    usual_crashes: float
    nobody_came: bool
    unlucky: int
    errors: str


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """What to watch, for how many ``seconds``, and where Nginx logs the requests to it.

    ``switched_at`` is when the deployment began to serve, in seconds since the epoch. ``record`` is the record of its
    crashed workers, and ``previous_record`` that of the deployment before, if there was one.
    """

    deployment: str
    health_check: HealthCheck
    seconds: float
    log: Path
    switched_at: float
    record: Path
    previous_record: Path | None = None


def watch(options: WatchOptions) -> str:
    """Watch a deployment that serves; returns a summary of its requests. Raises ReleaseError if it is unhealthy."""
    name, check = options.deployment, options.health_check
    start, invocation = time.time(), deployment.unit_state(name).invocation
    visits = Visits(options.log, options.switched_at, start + times.MOVED_SECONDS)
    before = _crashes_before(options)
    deadline, failed_checks = time.monotonic() + options.seconds, 0
    while True:
        answer = health.site_answer(check, health.ANSWER_SECONDS)
        failed_checks = 0 if check.is_healthy(answer) else failed_checks + 1
        unit = deployment.unit_state(name)
        visits.update()
        crashed = crashes.since(crashes.read(options.record), start)
        failed = visits.failed_visitors(crashed)
        observation = Observation(
            failed_checks=failed_checks,
            answer=answer,
            active=unit.active,
            has_restarted=unit.invocation != invocation,
            crashes=crashed,
            usual_crashes=before * max(_LEAST_SECONDS, time.time() - start),
            nobody_came=visits.nobody_came,
            unlucky=len(set[str]().union(*failed.values())),
            errors=visits.reason(failed),
        )
        if reason := unhealthy_reason(observation, check):
            is_check = observation.failed_checks >= health.FAILED_CHECKS
            raise ReleaseError(reason, health_advice.advice(check, answer) if is_check else "")
        # After a failed check, the watch continues beyond its end until the next check decides.
        if time.monotonic() >= deadline and not failed_checks:
            return _summary(visits, crashed)
        time.sleep(max(0.0, min(check.interval or times.WATCH_INTERVAL_SECONDS, deadline - time.monotonic())) or 0.1)


@contextmanager
def crashes_named(record: Path, switched_at: float) -> Generator[None]:
    """Replaces a ReleaseError of the block by the reason that workers crashed, if at least ``CRASHED_WORKERS`` did.

    ``record`` is the deployment's. Crashes count from ``switched_at`` on, in seconds since the epoch.
    """
    try:
        yield
    except ReleaseError:
        # The crashes are the cause; the bad answer only followed from them.
        if len(crashed := crashes.since(crashes.read(record), switched_at)) >= CRASHED_WORKERS:
            raise ReleaseError(_crash_reason(crashed)) from None
        raise


def unhealthy_reason(observation: Observation, check: HealthCheck) -> str | None:
    """Why the release is unhealthy, or None if it is healthy."""
    if observation.active not in ("active", "reloading"):
        return f"the app ended after the switch (its unit is {observation.active})"
    if observation.has_restarted:
        return "the app ended after the switch and was restarted"
    has_crashes = len(observation.crashes) >= CRASHED_WORKERS
    if observation.failed_checks >= health.FAILED_CHECKS:
        if has_crashes:
            return _crash_reason(observation.crashes)
        return f"the site turned unhealthy after the switch: GET {check.path} answered {observation.answer}"
    # One visitor may have caused all crashes, and may have done so in the time before, too.
    is_more_than_usual = len(observation.crashes) > 2 * observation.usual_crashes
    has_victims = observation.nobody_came or observation.unlucky >= FAILED_VISITORS
    if has_crashes and is_more_than_usual and has_victims:
        return _crash_reason(observation.crashes)
    return observation.errors or None


def _crashes_before(options: WatchOptions) -> float:
    """Crashes per second of the previous deployment in the time before the switch."""
    if options.previous_record is None:
        return 0.0
    recorded = crashes.since(crashes.read(options.previous_record), options.switched_at - USUAL_SECONDS)
    return sum(crash.time < options.switched_at for crash in recorded) / USUAL_SECONDS


def _crash_reason(crashed: Sequence[Crash]) -> str:
    return f"workers of the app crashed after the switch: {len(crashed)}, the last one: {crashed[-1]}"


def _summary(visits: Visits, crashed: Sequence[Crash]) -> str:
    """What happened during the watch, also if it wasn't enough to roll back."""
    workers = f", {len(crashed)} crashed worker{'s'[: len(crashed) != 1]}" if crashed else ""
    return ("no visitors" if visits.nobody_came else str(visits.since)) + workers
