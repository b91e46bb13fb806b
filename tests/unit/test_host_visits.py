"""The errors of visitors during a watch: several visitors decide, one never does."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from host import visits
from host.crashes import Crash
from host.visits import Visits

SWITCH = 1000.0
# Writes requests into the log: how many, with their time, status, visitor and path.
Write = Callable[..., None]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


@pytest.fixture
def write(log: Path) -> Write:
    def write(
        *visitors: str, at: float = SWITCH + 5, status: int = 200, path: str = "/", count: int = 1, method: str = "GET"
    ) -> None:
        upstream = "-" if status == 499 else status
        lines = [f'{at:.3f} 0.010 {visitor} "{upstream}" {status} {method} "{path}"\n' for visitor in visitors]
        with log.open("a") as stream:
            stream.writelines(lines * count)

    return write


def people(count: int, network: str = "198.51.100") -> list[str]:
    return [f"{network}.{number}" for number in range(1, count + 1)]


def watched(log: Path, write_since: Callable[[], None], crashes: tuple[Crash, ...] = ()) -> str:
    """Watch while ``write_since`` writes to the log; returns the reason to roll back. Earlier lines are from before."""
    seen = Visits(log, switched_at=SWITCH, start=SWITCH + 1)
    write_since()
    seen.update()
    return seen.reason(seen.failed_visitors(crashes))


BEFORE = SWITCH - 30


def test_a_route_that_fails_for_several_visitors_and_worked_before_is_the_reason(log: Path, write: Write):
    write(*people(9), at=BEFORE, path="/shop")

    def since() -> None:
        write(*people(40), count=5)
        write(*people(3), path="/shop", status=500)
        write(*people(2, "192.0.2"), path="/shop")

    assert (
        watched(log, since) == "visitors got errors after the switch: 3 of the 5 that sent GET /shop (0% failed before)"
    )


def test_errors_of_a_tenth_of_all_visitors_are_the_reason_on_any_routes(log: Path, write: Write):
    def since() -> None:
        write(*people(20))
        for number, visitor in enumerate(people(3)):
            write(visitor, path=f"/new/{'abc'[number]}", status=500)

    assert "3 of 20; 3 of 23 requests failed with 5xx, 20 visitors" in watched(log, since)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_one_visitor_with_any_number_of_errors_is_no_reason(log: Path, write: Write, status: int, method: str):
    write(*people(5), at=BEFORE, count=10)

    def since() -> None:
        write(*people(5), count=10)
        write("203.0.113.9", status=status, count=500, method=method)
        write("203.0.113.9", status=status, count=500, path="/broken")

    assert watched(log, since) == ""


def test_many_addresses_of_one_ipv6_network_and_an_ipv4_address_are_no_reason(log: Path, write: Write):
    addresses = [f"2001:db8:0:1::{number:x}" for number in range(1, 200)]

    def since() -> None:
        write(*addresses, "203.0.113.9", status=500, path="/broken")

    assert watched(log, since) == ""


def test_a_developer_who_is_the_only_visitor_is_no_reason(log: Path, write: Write):
    assert watched(log, lambda: write("203.0.113.9", status=500, count=20)) == ""


def test_a_page_that_failed_before_is_no_reason_however_many_visitors_it_has(log: Path, write: Write):
    write(*people(2), at=BEFORE, status=500, path="/report/17")
    write(*people(50), at=BEFORE)

    def since() -> None:
        write(*people(30), status=500, path="/report/18?x=1")
        write(*people(40))

    assert watched(log, since) == ""


def test_a_release_that_repairs_a_failing_app_in_part_is_not_blamed(log: Path, write: Write):
    write(*people(20), at=BEFORE, status=502, path="/a")
    assert watched(log, lambda: write(*people(20), status=500, path="/b")) == ""


def test_a_page_that_failed_sometimes_and_fails_always_is_a_reason(log: Path, write: Write):
    write(*people(10), at=BEFORE, count=20)
    write(*people(2), at=BEFORE, status=500)
    assert "10 of the 10 that sent GET /" in watched(log, lambda: write(*people(10), status=500))


def test_errors_before_the_switch_long_ago_or_of_the_old_release_do_not_count(log: Path, write: Write):
    write(*people(9), at=SWITCH - visits.USUAL_SECONDS - 9, status=500)  # long ago
    write(*people(9), at=SWITCH + 0.5, status=500)  # an earlier run switched and was killed
    seen = Visits(log, switched_at=SWITCH, start=SWITCH + 1)
    write(*people(9), at=SWITCH + 0.9, status=500)  # it began at the old release
    seen.update()
    assert (seen.before.requests, seen.since.requests, seen.nobody_came) == (0, 0, True)
    write("203.0.113.9", status=499)
    seen.update()
    assert not seen.nobody_came


def test_what_one_visitor_who_crashes_workers_breaks_for_others_is_no_reason(log: Path, write: Write):
    crashes = tuple(Crash(SWITCH + 5 + number, 9) for number in range(8))

    def since(status: int) -> None:
        for number, crash in enumerate(crashes):
            write("203.0.113.9", at=crash.time - 0.01, status=status, path="/crash")
            write(*people(3)[number % 3 :], at=crash.time - 0.01, status=502)
        write(*people(3), count=5)

    assert watched(log, lambda: since(502), crashes) == ""
    log.write_text("")
    assert watched(log, lambda: since(499), crashes) == "", "the visitor leaves before the worker has crashed"


def test_crashes_by_requests_of_several_visitors_are_a_reason(log: Path, write: Write):
    crashes = tuple(Crash(SWITCH + 5 + number, 9) for number in range(8))

    def since() -> None:
        for visitor, crash in zip(people(8), crashes, strict=True):
            write(visitor, at=crash.time - 0.01, status=502, path="/buy")

    assert "8 of 8" in watched(log, since, crashes)


def test_a_flood_of_routes_and_visitors_needs_bounded_memory_and_time(log: Path, write: Write):
    write(*people(9), at=BEFORE, path="/shop")
    with log.open("a") as stream:
        letters = itertools.product("abcdefghijklmnop", repeat=4)
        for name in itertools.islice(letters, 8_000):
            stream.write(f'{BEFORE:.3f} 0.010 203.0.113.9 "404" 404 GET "/{"".join(name)}"\n')
    seen = Visits(log, switched_at=SWITCH, start=SWITCH + 1)
    assert len(seen.before.routes) <= visits.MOST_NEW_ROUTES + 2
    assert "GET /shop" in seen.before.routes
    began = time.monotonic()
    for number in range(6):
        write("203.0.113.9", status=500, path=f"/{'ab'[number % 2]}", count=1000)
        seen.update()
        seen.failed_visitors([Crash(SWITCH + 5, 9)] * 100)
    with log.open("a") as stream:
        for number in range(30_000):
            stream.write(
                f'{SWITCH + 5:.3f} 0.010 10.{number >> 16}.{number >> 8 & 255}.{number & 255} "502" 502 GET "/a"\n'
            )
            if number % 5_000 == 0:
                stream.flush()
                seen.update()
    seen.failed_visitors([Crash(SWITCH + 5, 9)] * 100)
    assert time.monotonic() - began < 60
    assert len(seen.since.visitors) <= visits.MOST_COUNTS


def test_one_visitor_who_floods_cannot_hide_the_errors_of_others(log: Path, write: Write):
    write(*people(9), at=BEFORE, path="/shop")
    seen = Visits(log, switched_at=SWITCH, start=SWITCH + 1)
    for number in range(5):
        write("203.0.113.9", status=500, path=f"/{'abcde'[number]}", count=5000)
        seen.update()
    write(*people(3), status=500, path="/shop")
    seen.update()
    assert "GET /shop" in seen.reason(seen.failed_visitors())
