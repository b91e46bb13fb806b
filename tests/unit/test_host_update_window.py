"""The slots of a stack's machines in the window for updates, and the timer of each."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host import update_window
from host.paths import Paths
from host.update_window import SLOT_MINUTES, SLOT_SECONDS, Plan, Window, parse

DAY_SECONDS = 24 * 60 * 60
MINUTES = st.integers(0, 24 * 60 - 1)
WINDOWS = st.builds(lambda start, minutes: Window(start=start, minutes=minutes), MINUTES, st.integers(15, 1439))
MACHINES = st.integers(1, 121)
TIMES = st.integers(1_700_000_000, 1_800_000_000)


def plans(window: Window, machines: int) -> list[Plan]:
    return [Plan(window=window, days=window.days(machines), number=number) for number in range(machines)]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def clock(window: Window, minute: int) -> str:
    total = (window.start + minute) % (24 * 60)
    return f"{total // 60:02}:{total % 60:02}"


@given(WINDOWS)
def test_a_window_is_read_as_it_was_written(window: Window):
    assert parse(f"{clock(window, 0)}-{clock(window, window.minutes)}") == window


@pytest.mark.parametrize("text", ["", "3:00-5:00", "03:00-03:00", "03:00-03:14", "24:00-01:00", "03:00"])
def test_a_text_that_is_no_window_is_refused(text: str):
    with pytest.raises(ValueError, match=r"not a window|too short"):
        parse(text)


@given(WINDOWS, MACHINES, TIMES)
def test_at_no_time_two_machines_have_their_slot(window: Window, machines: int, now: int):
    ends = [end for plan in plans(window, machines) if (end := plan.slot_end(now))]
    assert len(ends) <= 1
    assert all(0 < end - now <= SLOT_SECONDS for end in ends)


@given(WINDOWS, MACHINES, TIMES)
def test_each_machine_has_one_slot_in_the_days_of_a_round_and_it_lies_in_the_window(
    window: Window, machines: int, now: int
):
    starts = [plan.next_slot(now) for plan in plans(window, machines)]
    assert len({*starts}) == machines
    for start in starts:
        assert start and now < start <= now + window.days(machines) * DAY_SECONDS
        assert (start // 60 - window.start) % (24 * 60) + SLOT_MINUTES <= window.minutes


@given(WINDOWS, MACHINES, TIMES, st.integers(0, 120))
def test_the_timer_runs_at_the_beginning_of_the_slot(window: Window, machines: int, now: int, number: int):
    plan = plans(window, machines)[number % machines]
    start = plan.next_slot(now)
    assert start and plan.calendar == f"*-*-* {datetime.fromtimestamp(start, UTC):%H:%M:%S} UTC"
    assert plan.slot_end(start) == start + SLOT_SECONDS
    assert plan.slot_end(start - 1) is None


def test_three_servers_and_their_balancer_follow_each_other_each_night():
    starts = [plan.next_slot(seconds("2026-03-01T12:00:00")) for plan in plans(parse("23:30-01:00"), 4)]
    assert starts == [seconds(f"2026-03-0{time}:00") for time in ("1T23:30", "1T23:45", "2T00:00", "2T00:15")]


def test_more_servers_than_slots_have_theirs_on_different_days():
    window = parse("03:00-03:30")
    assert window.days(5) == 3
    starts = sorted(plan.next_slot(0) or 0 for plan in plans(window, 5))
    assert [start // DAY_SECONDS for start in starts] == [0, 0, 1, 1, 2]


def test_without_a_window_there_is_no_slot_but_a_timer_that_says_so():
    plan = Plan(window=None)
    assert (plan.slot_end(0), plan.next_slot(0)) == (None, None)
    assert plan.calendar == "*-*-* 03:00:00 UTC"


@pytest.mark.parametrize(
    ("host_name", "number", "expected"),
    [("prod-7", None, 7), ("my-2-app-10", None, 10), ("renamed", None, 0), ("prod-balancer", 3, 3), ("prod-1", 0, 0)],
)
def test_the_number_of_a_server_is_the_end_of_its_host_name(host_name: str, number: int | None, expected: int):
    document = {"window": "03:00-05:00", "days": 1, "number": number, "drains": True, "reboots": False}
    plan = update_window.plan(json.dumps(document), host_name)
    assert plan == Plan(window=Window(start=180, minutes=120), number=expected, drains=True)


def test_a_configuration_of_an_earlier_version_has_no_timer():
    assert update_window.computed_files({}) == {}
    assert update_window.read(Paths()) is None
