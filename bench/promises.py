"""The promises in figures, and beside each what was measured of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench import ledger, results
from bench import slope as slopes
from bench.requests import Request, percentile, within, wrong_pages
from bench.servers import STRATEGIES, WATCHES

# What the promise about failed requests is measured by.
REQUESTS, RELEASES = 100_000, 20


@dataclass(frozen=True)
class Measured:
    """``kept`` is None where the measurement only stands beside the promise."""

    said: str
    kept: bool | None


@dataclass(frozen=True)
class Promise:
    """``parts`` must have been measured; ``measured`` gets what they found, in their order."""

    what: str
    figure: str
    parts: tuple[str, ...]
    measured: Callable[..., Measured]


def failed_requests(*parts: dict[str, Any]) -> Measured:
    """Kept only by as many requests and releases as the promise names."""
    said: list[str] = []
    good = True
    for part in parts:
        _, requests, releases = ledger.recorded(f"ledger-{part['servers']}")
        failed, wrong = sum(each.failed for each in requests), len(wrong_pages(requests, releases))
        good = good and failed == wrong == 0 and len(requests) >= REQUESTS and len(releases) >= RELEASES
        said.append(
            f"{_servers(part)}: {failed} of {len(requests):,} over {len(releases)} releases, {wrong} wrong pages"
        )
    return Measured("; ".join(said), good)


def worst_latency(*parts: dict[str, Any]) -> Measured:
    said: list[str] = []
    good = True
    for part in parts:
        found, requests, releases = ledger.recorded(f"ledger-{part['servers']}")
        visits = ledger.quick(requests)
        usual = percentile([each.latency for each in ledger.steady(found, visits)], 0.99)
        worst = [_worst(visits, each.start, each.end) for each in releases]
        alone = max(_worst(visits, begin, over) for begin, over in found["unchanged"])
        good = good and max(worst) <= 2 * usual
        said.append(
            f"{_servers(part)}: {_ms(max(worst))} ({max(worst) / usual:.1f} x {_ms(usual)}; median release "
            f"{_ms(median(worst))}; an `up` with no change {_ms(alone)})"
        )
    return Measured("; ".join(said), good)


def _worst(requests: list[Request], start: float, end: float) -> float:
    return max(each.latency for each in within(requests, start, end))


def app_update(update: dict[str, Any]) -> Measured:
    unchanged, changed, by_hand = (median(update[key]) for key in ("unchanged", "changed", "by hand"))
    limit = unchanged + 1.5 * by_hand
    said = f"{changed:.2f} s; limit {limit:.2f} s = {unchanged:.2f} + 1.5 x {by_hand:.2f}"
    return Measured(said, changed <= limit)


def four_servers(servers: dict[str, Any]) -> Measured:
    """Kept by the strategy that has all in parallel, with the usual watch; the others stand beside it."""
    said: list[str] = []
    ratios: list[float] = []
    for strategy, watch in itertools.product(STRATEGIES, reversed(WATCHES)):
        one, four = median(servers[f"1 watch {watch}"]), median(servers[f"4 {strategy} watch {watch}"])
        ratios.append(four / one)
        said.append(f"{strategy}, `watch` {watch}: {four / one:.2f} x ({four:.1f} s and {one:.1f} s)")
    return Measured("; ".join(said), ratios[0] <= 1.3)


def rollback(found: dict[str, Any]) -> Measured:
    slowest = max(found["back"])
    said = f"{median(found['back']):.1f} s, at most {slowest:.1f} s"
    said += f"; `up` with no change {median(found['unchanged']):.1f} s"
    return Measured(said, slowest <= 10)


def no_change(found: dict[str, Any]) -> Measured:
    one, four, minimal = (median(found[key]) for key in ("up 1", "up 4", "minimal 1"))
    more = found["resources 4"] - found["resources 1"]
    slope = 1000 * (four - one) / more
    usual = 1000 * (median(found["minimal 4"]) - minimal) / more
    said = f"{found['logins']} logins; {one / minimal:.2f} x ({one:.2f} s and {minimal:.2f} s"
    said += f", {found['resources 1']} resources); {slope:.0f} ms a resource (minimal program: {usual:.0f} ms)"
    return Measured(said, found["logins"] == 0 and one <= 1.15 * minimal and slope <= 25)


def slope(found: dict[str, Any]) -> Measured:
    said: list[str] = []
    good = found["done"] == found["logins"] == 0
    # Where there is other work, seconds of the clock are that work's as well: both must be good.
    for command, (what, unit) in itertools.product(slopes.COMMANDS, slopes.UNITS.items()):
        ratios = [slopes.ratio(size, command, what) for size in found["sizes"]]
        each, usual = (slopes.slope(found["sizes"], command, program, what) for program in slopes.PROGRAMS)
        good = good and max(ratios) <= 1.15 and each <= 25
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        said.append(f"`{command}`, {unit}: {shown} x, {each:.1f} ms a resource (minimal program: {usual:.1f} ms)")
    counts = ", ".join(str(size["resources"]) for size in found["sizes"])
    return Measured(f"{found['logins']} logins; {'; '.join(said)}; {counts} resources", good)


def first_boot(found: dict[str, Any]) -> Measured:
    ours, by_hand = median(found["up"]), median(found["by hand"])
    return Measured(f"{ours / by_hand:.2f} x ({ours:.1f} s and {by_hand:.1f} s)", ours <= 1.2 * by_hand)


def throughput(found: dict[str, Any]) -> Measured:
    ours = found["gantry"]
    limits = {"beanstalk": 4.0, "seed": 1.3, "gunicorn alone": 0.85}
    # Turn by turn: what else the computer does changes from one to the next.
    ratios = {shape: median(mine / its for mine, its in zip(ours, found[shape], strict=True)) for shape in limits}
    said = [f"{ratio:.2f} x {shape} ({median(found[shape]):,.0f})" for shape, ratio in ratios.items()]
    return Measured(
        f"{median(ours):,.0f}: {', '.join(said)}", all(ratios[shape] >= limit for shape, limit in limits.items())
    )


def _tested(name: str, how: str = "") -> Callable[[], Measured]:
    return lambda: Measured(f"a test{how}: `{name}`", None)


def _servers(part: dict[str, Any]) -> str:
    return "1 server" if part["servers"] == 1 else f"{part['servers']} servers"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


LEDGERS = ("ledger-1", "ledger-3")
PROMISES = (
    Promise(
        f"failed requests over {RELEASES} releases under load (half POST, keepalive, some 5 s long)",
        f"0 of {REQUESTS:,}",
        LEDGERS,
        failed_requests,
    ),
    Promise("worst latency during a release", "<= 2 x the steady p99", LEDGERS, worst_latency),
    Promise(
        "a broken release (10 kinds)",
        "never serves; `up` fails and names the cause; <= 1 server touched",
        (),
        _tested("test_a_release_that_cannot_serve_fails_with_its_cause_and_no_client_sees_it"),
    ),
    Promise(
        "SIGKILL of a release at 50 random points",
        "the site serves throughout; the next `up` needs no repair",
        (),
        _tested("test_fifty_kills_at_random_points_leave_the_site_serving_and_the_next_run_needs_no_repair"),
    ),
    Promise(
        "app update: `up` with a changed app",
        "<= `up` with no change + 1.5 x the hand-written floor",
        ("update",),
        app_update,
    ),
    Promise(
        "4 servers instead of 1", "rollout <= 1.3 x, where the strategy allows parallel", ("servers",), four_servers
    ),
    Promise("rollback", "<= 10 s, with no package registry reachable", ("rollback",), rollback),
    Promise(
        "`up` with no change",
        "opens no SSH connection; <= 1.15 x a minimal program; <= 25 ms a resource",
        ("unchanged",),
        no_change,
    ),
    Promise(
        "`preview` and `up` with no change on 1, 10 and 50 servers (AWS, simulated)",
        "no SSH connection; <= 1.15 x a minimal program with the same resources; <= 25 ms a resource",
        ("slope",),
        slope,
    ),
    Promise("first boot (base image there) to first 200", "<= 1.2 x apt + uv by hand", ("boot",), first_boot),
    Promise(
        "the same with a prebuilt image",
        "<= 0.3 x",
        (),
        lambda: Measured("there are no prebuilt images yet", False),
    ),
    Promise(
        "requests/s of the rocket app",
        ">= 4 x Elastic Beanstalk's shape, >= 1.3 x the seed's configuration, >= 0.85 x gunicorn alone",
        ("throughput",),
        throughput,
    ),
    Promise(
        "12 planted secrets",
        "0 found outside the app",
        (),
        _tested(
            "test_no_output_of_a_command_shows_a_secret_even_when_the_command_fails",
            " file with 14 secrets",
        ),
    ),
    Promise(
        "`pulumi destroy`",
        "works with servers dead; leaves nothing behind",
        (),
        _tested("test_up_restores_a_killed_stack_and_destroy_leaves_nothing_behind"),
    ),
)


def table() -> list[str]:
    """In Markdown; what was not measured says how to."""
    rows = ["| what | promised | measured | kept |", "| --- | --- | --- | --- |"]
    for promise in PROMISES:
        found = [results.kept(part) for part in promise.parts]
        if None in found:
            measured = Measured(f"not yet: `make bench ARGS='{' '.join(promise.parts)}'`", None)
        else:
            measured = promise.measured(*found)
        kept = {True: "yes", False: "no", None: ""}[measured.kept]
        rows.append(f"| {promise.what} | {promise.figure} | {measured.said} | {kept} |")
    return rows
