from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host import deployment, health, watch
from host.crashes import Crash
from host.deployment import UnitState
from host.errors import ReleaseError
from host.health_check import Answer, HealthCheck

CHECK = HealthCheck("/healthz", "rocket.test")
HEALTHY = watch.Observation(
    failed_checks=0,
    answer=Answer(200),
    active="active",
    has_restarted=False,
    crashes=[],
    usual_crashes=0,
    nobody_came=False,
    unlucky=0,
    errors="",
)
CRASHES = [Crash(1, signal.SIGKILL), Crash(2, 3 << 8)]
SICK = {"failed_checks": 2, "answer": Answer(500)}


def test_a_healthy_release_has_no_fault():
    assert watch.unhealthy_reason(HEALTHY, CHECK) is None


@pytest.mark.parametrize(
    ("observation", "text"),
    [
        (replace(HEALTHY, active="failed"), "its unit is failed"),
        (replace(HEALTHY, active="activating"), "its unit is activating"),
        (replace(HEALTHY, has_restarted=True), "was restarted"),
        (replace(HEALTHY, **SICK), "GET /healthz answered 500"),
        (replace(HEALTHY, **SICK, crashes=CRASHES), "workers of the app crashed after the switch: 2"),
        (replace(HEALTHY, crashes=CRASHES, unlucky=3), "the last one: exit status 3"),
        (replace(HEALTHY, crashes=CRASHES[::-1], nobody_came=True), "the last one: killed by SIGKILL"),
        (replace(HEALTHY, errors="visitors got errors"), "visitors got errors"),
    ],
)
def test_the_reason_names_the_fault_of_an_unhealthy_release(observation: watch.Observation, text: str):
    assert text in (watch.unhealthy_reason(observation, CHECK) or "")


@pytest.mark.parametrize(
    "observation",
    [
        replace(HEALTHY, crashes=CRASHES[:1], nobody_came=True),
        replace(HEALTHY, crashes=CRASHES * 50, unlucky=2),
        replace(HEALTHY, crashes=CRASHES * 50, unlucky=9, usual_crashes=50),
        replace(HEALTHY, failed_checks=1, answer=Answer(500), crashes=CRASHES, unlucky=1),
    ],
    ids=["one crash", "crashes of two visitors", "as many crashes as before", "one failed check and one visitor"],
)
def test_a_single_fault_and_faults_that_few_visitors_may_have_caused_are_accepted(observation: watch.Observation):
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
        monkeypatch.setattr(watch.time, "monotonic", lambda: self.clock)
        monkeypatch.setattr(watch.time, "sleep", self.sleep)

    def answer(self, *_: object) -> Answer:
        self.checks += 1
        return Answer(int(next(self._answers)))

    def sleep(self, seconds: float) -> None:
        self.clock += seconds


UP = UnitState("active", "first start")


@pytest.fixture
def options(tmp_path: Path) -> watch.WatchOptions:
    return watch.WatchOptions(
        deployment="a-1",
        health_check=CHECK,
        seconds=10,
        log=tmp_path / "log",
        switched_at=0,
        record=tmp_path / "crashes",
    )


def test_a_healthy_release_is_watched_for_the_whole_time(monkeypatch: pytest.MonkeyPatch, options: watch.WatchOptions):
    app = FakeApp(monkeypatch, ["200"], [UP])
    assert watch.watch(options) == "no visitors"
    assert 1010 <= app.clock < 1011


def test_only_restarts_during_the_watch_count(monkeypatch: pytest.MonkeyPatch, options: watch.WatchOptions):
    FakeApp(monkeypatch, ["200"], [UP, UP, UnitState("active", "second start")])
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
    app = FakeApp(monkeypatch, ["200"], [UP])
    watch.watch(replace(options, health_check=replace(CHECK, interval=2.5)))
    assert app.checks == 5


def test_crashes_of_the_deployment_before_are_usual_and_those_before_the_watch_do_not_count(
    monkeypatch: pytest.MonkeyPatch, options: watch.WatchOptions, tmp_path: Path
):
    now = time.time()
    options.record.write_text(f"{now - 5:.3f} 9\n" * 2)
    FakeApp(monkeypatch, ["200"], [UP])
    assert watch.watch(replace(options, seconds=1)) == "no visitors"
    options.record.write_text(f"{now + 5:.3f} 9\n" * 2)
    with pytest.raises(ReleaseError, match=r"crashed after the switch: 2, the last one: killed by SIGKILL"):
        watch.watch(replace(options, seconds=1))
    previous = tmp_path / "previous"
    previous.write_text(f"{now - 5:.3f} 9\n" * 100)
    options = replace(options, seconds=1, switched_at=now, previous_record=previous)
    assert watch.watch(options) == "no visitors, 2 crashed workers"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("6.000 256\n7.000 256\n8.000 256\n", "workers of the app crashed after the switch: 2"),
        ("6.000 256\n7.000 256\n", "the site isn't healthy"),
    ],
)
def test_a_failed_check_names_the_crashes_of_workers_since_the_switch(tmp_path: Path, record: str, message: str):
    (tmp_path / "crashes").write_text(record)
    with pytest.raises(ReleaseError, match=message), watch.crashes_named(tmp_path / "crashes", 7):
        raise ReleaseError("the site isn't healthy")
