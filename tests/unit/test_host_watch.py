from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host import deployment, health, watch
from host.access_log import Share
from host.deployment import UnitState
from host.errors import ReleaseError
from host.health_check import Answer, HealthCheck

CHECK = HealthCheck("/healthz", "rocket.test")
HEALTHY = watch.Observation(
    failed_checks=0, answer=Answer(200), active="active", restarts=0, crashes=[], before=Share(), since=Share(0, 100)
)


def test_a_healthy_release_has_no_fault():
    assert watch.unhealthy_reason(HEALTHY, CHECK) is None


@pytest.mark.parametrize(
    ("observation", "text"),
    [
        (replace(HEALTHY, active="failed"), "its unit is failed"),
        (replace(HEALTHY, active="activating"), "its unit is activating"),
        (replace(HEALTHY, restarts=1), "was restarted (1x)"),
        (replace(HEALTHY, crashes=["Worker (pid:1) a", "Worker (pid:2) exited with code 3."]), "exited with code 3"),
        (replace(HEALTHY, failed_checks=2, answer=Answer(500)), "GET /healthz answered 500"),
        (replace(HEALTHY, since=Share(11, 100)), "11 of 100 requests failed with 5xx (0% before)"),
        (replace(HEALTHY, before=Share(10, 100), since=Share(21, 100)), "(10% before)"),
    ],
)
def test_the_reason_names_the_fault_of_an_unhealthy_release(observation: watch.Observation, text: str):
    assert text in (watch.unhealthy_reason(observation, CHECK) or "")


@pytest.mark.parametrize(
    "observation",
    [
        replace(HEALTHY, crashes=["Worker (pid:1) was sent SIGKILL!"]),
        replace(HEALTHY, failed_checks=1, answer=Answer(500)),
        replace(HEALTHY, since=Share(4, 4)),
        replace(HEALTHY, since=Share(10, 100)),
        replace(HEALTHY, before=Share(10, 100), since=Share(20, 100)),
        replace(HEALTHY, before=Share(60, 100), since=Share(100, 100)),
    ],
)
def test_a_single_fault_or_a_usual_share_of_failures_is_accepted(observation: watch.Observation):
    assert watch.unhealthy_reason(observation, CHECK) is None


def repeat_last(values: list[Any]) -> Iterator[Any]:
    return itertools.chain(values, itertools.repeat(values[-1]))


class FakeApp:
    """A release with the given answers and states. The clock moves only when the watch sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: list[str], states: list[UnitState]) -> None:
        self.clock = 1000.0
        self.checks = 0
        self._answers, self._states = repeat_last(answers), repeat_last(states)
        monkeypatch.setattr(health, "site_answer", self.answer)
        monkeypatch.setattr(deployment, "unit_state", lambda _: next(self._states))
        monkeypatch.setattr(deployment, "journal_since", lambda *_: "")
        monkeypatch.setattr(watch.time, "monotonic", lambda: self.clock)
        monkeypatch.setattr(watch.time, "sleep", self.sleep)

    def answer(self, *_: object) -> Answer:
        self.checks += 1
        return Answer(int(next(self._answers)))

    def sleep(self, seconds: float) -> None:
        self.clock += seconds


UP = UnitState("active", 3)


@pytest.fixture
def options(tmp_path: Path) -> watch.WatchOptions:
    return watch.WatchOptions(deployment="a-1", health_check=CHECK, seconds=10, log=tmp_path / "log", switched_at=0)


def test_a_healthy_release_is_watched_for_the_whole_time(monkeypatch: pytest.MonkeyPatch, options: watch.WatchOptions):
    app = FakeApp(monkeypatch, ["200"], [UP])
    assert watch.watch(options) == "no visitors"
    assert 1010 <= app.clock < 1011


def test_only_restarts_during_the_watch_count(monkeypatch: pytest.MonkeyPatch, options: watch.WatchOptions):
    FakeApp(monkeypatch, ["200"], [UP, UP, UnitState("active", 4)])
    with pytest.raises(ReleaseError, match="was restarted"):
        watch.watch(options)


def test_one_failed_check_is_accepted_and_two_in_a_row_are_not(
    monkeypatch: pytest.MonkeyPatch, options: watch.WatchOptions
):
    options = replace(options, seconds=5)
    FakeApp(monkeypatch, ["200", "500", "200"], [UP])
    watch.watch(options)
    FakeApp(monkeypatch, ["200", "500", "500"], [UP])
    with pytest.raises(ReleaseError, match="answered 500"):
        watch.watch(options)


def test_after_a_failed_check_at_the_very_end_another_check_decides(
    monkeypatch: pytest.MonkeyPatch, options: watch.WatchOptions
):
    FakeApp(monkeypatch, ["200", "500", "500"], [UP])
    with pytest.raises(ReleaseError, match="answered 500"):
        watch.watch(replace(options, seconds=0.5))


def test_the_configured_interval_is_kept_between_two_checks(
    monkeypatch: pytest.MonkeyPatch, options: watch.WatchOptions
):
    app = FakeApp(monkeypatch, ["200"], [UnitState("active", 0)])
    watch.watch(replace(options, health_check=replace(CHECK, interval=2.5)))
    assert app.checks == 5


@pytest.mark.parametrize(
    ("journal", "message"),
    [
        ("Worker (pid:7) exited with code 1.\nWorker (pid:8) exited with code 1.\n", "workers of the app crashed"),
        ("Worker (pid:7) exited with code 1.\n", "the site isn't healthy"),
    ],
)
def test_a_failed_check_names_the_crashes_of_workers_since_the_switch(
    monkeypatch: pytest.MonkeyPatch, journal: str, message: str
):
    monkeypatch.setattr(deployment, "journal_since", lambda name, since: journal if (name, since) == ("a-1", 7) else "")
    with pytest.raises(ReleaseError, match=message), watch.crashes_named("a-1", 7):
        raise ReleaseError("the site isn't healthy")
