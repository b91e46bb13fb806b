from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from host.visitors import Share, Visitors

from host import health, visitors, watch, web
from host.errors import ReleaseError

HEALTH = health.Health("/healthz", "rocket.test")
WELL = watch.Watched(0, "200", "active", 0, [], Share(), Share(0, 100))


def line(ended: float, status: str, seconds: float = 0.1, address: str = "192.0.2.7") -> str:
    return f'{ended:.3f} {seconds:.3f} {address} "{status}"\n'


def test_what_is_well_is_not_condemned():
    assert watch.verdict(WELL, HEALTH) is None


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (replace(WELL, state="failed"), "its unit is failed"),
        (replace(WELL, state="activating"), "its unit is activating"),
        (replace(WELL, restarts=1), "was restarted (1x)"),
        (replace(WELL, crashes=["Worker (pid:1) a", "Worker (pid:2) exited with code 3."]), "exited with code 3"),
        (replace(WELL, failed_answers=2, answer="500"), "GET /healthz answered 500"),
        (replace(WELL, since=Share(11, 100)), "11 of 100 requests failed with 5xx (0% before)"),
        (replace(WELL, before=Share(10, 100), since=Share(21, 100)), "(10% before)"),
    ],
)
def test_what_is_bad_is_named(seen: watch.Watched, word: str):
    assert word in (watch.verdict(seen, HEALTH) or "")


@pytest.mark.parametrize(
    "seen",
    [
        replace(WELL, crashes=["Worker (pid:1) was sent SIGKILL!"]),
        replace(WELL, failed_answers=1, answer="500"),
        replace(WELL, since=Share(4, 4)),
        replace(WELL, since=Share(10, 100)),
        replace(WELL, before=Share(10, 100), since=Share(20, 100)),
        replace(WELL, before=Share(60, 100), since=Share(100, 100)),
    ],
)
def test_what_may_be_chance_or_was_so_before_is_let_through(seen: watch.Watched):
    assert watch.verdict(seen, HEALTH) is None


def test_only_what_began_after_the_switch_and_reached_the_app_counts(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text(line(99 - visitors.USUAL_SECONDS, "500") + line(99, "200") + line(99, "500"))
    seen = Visitors(log, switched=100, start=100)
    assert (seen.before.failed, seen.before.total) == (1, 2)
    with log.open("a") as stream:
        stream.write(line(101, "500", seconds=5))  # the old release's
        stream.write(line(101, "500", address="127.0.0.1"))  # our own check
        stream.write(line(101, "-"))  # maintenance, a redirect: Nginx's own
        stream.write(line(101, "502, 200"))
        stream.write(line(101, "503"))
        stream.write(line(101, "500")[:-5])  # still being written
    assert (seen.read().failed, seen.since.total) == (1, 2)
    with log.open("a") as stream:
        stream.write(line(101, "500")[-5:])
    assert (seen.read().failed, seen.since.total) == (2, 3)


def test_a_log_that_was_rotated_or_comes_later_is_read_from_its_start(tmp_path: Path):
    log = tmp_path / "log"
    seen = Visitors(log, switched=0, start=0)
    assert seen.read().total == 0
    log.write_text(line(1, "200"))
    assert seen.read().total == 1
    log.rename(tmp_path / "log.1")
    log.write_text(line(2, "500") * 3)
    assert (seen.read().failed, seen.since.total) == (3, 4)


def test_of_a_long_log_only_the_end_says_what_was_usual(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text(line(98, "500") * 20_000 + line(99, "200") * 20_000)
    before = Visitors(log, switched=100, start=100).before
    assert before.failed == 0 < before.total
    assert log.stat().st_size > visitors.TAIL_BYTES


def test_what_a_bad_release_did_before_its_watch_was_begun_again_is_not_what_was_usual(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text(line(99, "200") + line(101, "500") * 9)
    seen = Visitors(log, switched=100, start=110)
    assert (seen.before.failed, seen.before.total) == (0, 1)


def then_last(given: list[Any]) -> Iterator[Any]:
    return itertools.chain(given, itertools.repeat(given[-1]))


class App:
    """A release under watch, whose answers and states are given; the clock stands still but for sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: list[str], states: list[web.State]) -> None:
        self.clock = 1000.0
        said, state = then_last(answers), then_last(states)
        monkeypatch.setattr(health, "answer", lambda *_: next(said))
        monkeypatch.setattr(web, "state", lambda _: next(state))
        monkeypatch.setattr(web, "journal_since", lambda *_: "")
        monkeypatch.setattr(watch.time, "monotonic", lambda: self.clock)
        monkeypatch.setattr(watch.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.clock += seconds


UP = web.State("active", 3)


def test_a_release_that_stays_well_is_watched_for_as_long_as_was_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    app = App(monkeypatch, ["200"], [UP])
    assert watch.watch("a-1", HEALTH, 10, tmp_path / "log", 0) == "no visitors"
    assert 1010 <= app.clock < 1011


def test_restarts_from_before_the_watch_do_not_count_and_one_within_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    App(monkeypatch, ["200"], [UP, UP, web.State("active", 4)])
    with pytest.raises(ReleaseError, match="was restarted"):
        watch.watch("a-1", HEALTH, 10, tmp_path / "log", 0)


def test_one_bad_answer_is_forgiven_and_two_are_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    App(monkeypatch, ["200", "500", "200"], [UP])
    watch.watch("a-1", HEALTH, 5, tmp_path / "log", 0)
    App(monkeypatch, ["200", "500", "500"], [UP])
    with pytest.raises(ReleaseError, match="answered 500"):
        watch.watch("a-1", HEALTH, 5, tmp_path / "log", 0)


def test_a_bad_answer_at_the_very_end_is_asked_about_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    App(monkeypatch, ["200", "500", "500"], [UP])
    with pytest.raises(ReleaseError, match="answered 500"):
        watch.watch("a-1", HEALTH, 0.5, tmp_path / "log", 0)


def test_the_site_is_asked_no_more_often_than_was_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    App(monkeypatch, ["200"], [web.State("active", 0)])
    asked: list[str] = []
    monkeypatch.setattr(health, "answer", lambda *_: asked.append("200") or "200")
    watch.watch("a-1", replace(HEALTH, interval=2.5), 10, tmp_path / "log", 0)
    assert len(asked) == 5
