"""The promises in figures, each with its measurement."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench import chaos, ledger, results
from bench import slope as slopes
from bench.requests import Request, percentile, within
from bench.servers import STRATEGIES, WATCHES

# A measurement of failed requests counts only if it has at least as many requests and releases.
REQUESTS, RELEASES = 100_000, 20
# The same for chaos.
MINUTES = 30


@dataclass(frozen=True)
class Measurement:
    """The text for the table; ``kept`` is None if the text alone doesn't decide whether the promise is kept."""

    text: str
    kept: bool | None


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A promise; ``evaluate`` gets the results of ``parts``, in their order."""

    what: str
    figure: str
    parts: tuple[str, ...]
    evaluate: Callable[..., Measurement]


def failed_requests(*parts: dict[str, Any]) -> Measurement:
    """Kept only with as many requests and releases as the promise names."""
    texts: list[str] = []
    kept = True
    for part in parts:
        run = ledger.saved_run(f"ledger-{part['servers']}")
        requests, releases = len(run.requests), len(run.releases)
        failed, wrong = len(run.failed), len(run.wrong_pages)
        kept = kept and failed == wrong == 0 and requests >= REQUESTS and releases >= RELEASES
        texts.append(f"{_servers(part)}: {failed} of {requests:,} over {releases} releases, {wrong} wrong pages")
    return Measurement("; ".join(texts), kept)


def worst_latency(*parts: dict[str, Any]) -> Measurement:
    """Kept if the worst latency during every release is at most twice the p99 of the steady parts."""
    texts: list[str] = []
    kept = True
    for part in parts:
        run = ledger.saved_run(f"ledger-{part['servers']}")
        requests = ledger.quick(run.requests)
        steady = percentile([request.latency for request in ledger.quick(run.steady)], 0.99)
        worst = [_worst(requests, release.start, release.end) for release in run.releases]
        unchanged = max(_worst(requests, start, end) for start, end in run.unchanged)
        kept = kept and max(worst) <= 2 * steady
        texts.append(
            f"{_servers(part)}: {_ms(max(worst))} ({max(worst) / steady:.1f} x {_ms(steady)}; median release "
            f"{_ms(median(worst))}; an `up` with no change {_ms(unchanged)})"
        )
    return Measurement("; ".join(texts), kept)


def _worst(requests: list[Request], start: float, end: float) -> float:
    return max(request.latency for request in within(requests, start, end))


def random_faults(saved: dict[str, Any]) -> Measurement:
    """Kept only with as many minutes as the promise names. Failed requests can't be avoided, so they don't decide."""
    run = chaos.saved_run()
    text = f"{saved['minutes']:g} minutes with {len(run.faults)} faults: {len(run.failed):,} of {len(run.requests):,}"
    text += f" requests failed, {len(run.wrong_pages)} wrong pages; {run.succeeded} of {len(run.releases)} releases"
    text += f" succeeded; {len(run.problems)} problems after the last one; the longest outages: "
    outages = chaos.Timeline(run.faults).longest_outages(run.requests)
    longest = sorted(((seconds, kind) for kind, seconds in outages.items()), reverse=True)[:2]
    text += ", ".join(f"{seconds:.0f} s ({kind})" for seconds, kind in longest)
    return Measurement(text, not run.wrong_pages and not run.problems and saved["minutes"] >= MINUTES)


def app_update(update: dict[str, Any]) -> Measurement:
    unchanged, changed, manual = (median(update[key]) for key in ("unchanged", "changed", "by hand"))
    limit = unchanged + 1.5 * manual
    text = f"{changed:.2f} s; limit {limit:.2f} s = {unchanged:.2f} + 1.5 x {manual:.2f}"
    return Measurement(text, changed <= limit)


def four_servers(servers: dict[str, Any]) -> Measurement:
    """Only the strategy with all servers in parallel and the usual watch decides. The others are shown, too."""
    texts: list[str] = []
    ratios: list[float] = []
    for strategy, watch in itertools.product(STRATEGIES, reversed(WATCHES)):
        one, four = median(servers[f"1 watch {watch}"]), median(servers[f"4 {strategy} watch {watch}"])
        ratios.append(four / one)
        texts.append(f"{strategy}, `watch` {watch}: {four / one:.2f} x ({four:.1f} s and {one:.1f} s)")
    return Measurement("; ".join(texts), ratios[0] <= 1.3)


def rollback(times: dict[str, Any]) -> Measurement:
    slowest = max(times["back"])
    text = f"{median(times['back']):.1f} s, at most {slowest:.1f} s"
    text += f"; `up` with no change {median(times['unchanged']):.1f} s"
    return Measurement(text, slowest <= 10)


def no_change(saved: dict[str, Any]) -> Measurement:
    one, four, minimal = (median(saved[key]) for key in ("up 1", "up 4", "minimal 1"))
    more = saved["resources 4"] - saved["resources 1"]
    slope = 1000 * (four - one) / more
    minimal_slope = 1000 * (median(saved["minimal 4"]) - minimal) / more
    text = f"{saved['logins']} logins; {one / minimal:.2f} x ({one:.2f} s and {minimal:.2f} s"
    text += f", {saved['resources 1']} resources); {slope:.0f} ms a resource (minimal program: {minimal_slope:.0f} ms)"
    return Measurement(text, saved["logins"] == 0 and one <= 1.15 * minimal and slope <= 25)


def slope(saved: dict[str, Any]) -> Measurement:
    texts: list[str] = []
    sizes = saved["sizes"]
    kept = saved["done"] == saved["logins"] == 0
    # The clock also counts the computer's other work, so the promise must hold by the clock and by busy seconds.
    for command, (unit, label) in itertools.product(slopes.COMMANDS, slopes.UNITS.items()):
        ratios = [slopes.ratio(size, command, unit) for size in sizes]
        gantry, minimal = (slopes.slope(sizes, command, program=program, unit=unit) for program in slopes.PROGRAMS)
        kept = kept and max(ratios) <= 1.15 and gantry <= 25
        list_of_ratios = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        texts.append(
            f"`{command}`, {label}: {list_of_ratios} x, {gantry:.1f} ms a resource (minimal program: {minimal:.1f} ms)"
        )
    counts = ", ".join(str(size["resources"]) for size in sizes)
    return Measurement(f"{saved['logins']} logins; {'; '.join(texts)}; {counts} resources", kept)


def first_boot(times: dict[str, Any]) -> Measurement:
    with_up, manual = median(times["up"]), median(times["by hand"])
    return Measurement(f"{with_up / manual:.2f} x ({with_up:.1f} s and {manual:.1f} s)", with_up <= 1.2 * manual)


def throughput(rates: dict[str, Any]) -> Measurement:
    # There is no promise for a port; its ratio is shown beside the others.
    limits = {"beanstalk": 4.0, "seed": 1.3, "gunicorn alone": 0.85, "gantry on a port": 0.0}
    # Each turn is compared by itself, because the computer's other work changes from turn to turn.
    ratios = {
        shape: median(gantry / other for gantry, other in zip(rates["gantry"], rates[shape], strict=True))
        for shape in limits
    }
    texts = [f"{ratio:.2f} x {shape} ({median(rates[shape]):,.0f})" for shape, ratio in ratios.items()]
    kept = all(ratios[shape] >= limit for shape, limit in limits.items())
    return Measurement(f"{median(rates['gantry']):,.0f}: {', '.join(texts)}", kept)


def _shown_by_test(name: str, detail: str = "") -> Callable[[], Measurement]:
    return lambda: Measurement(f"a test{detail}: `{name}`", None)


def _servers(part: dict[str, Any]) -> str:
    return "1 server" if part["servers"] == 1 else f"{part['servers']} servers"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


LEDGERS = ("ledger-1", "ledger-3")
PROMISES = (
    Promise(
        what=f"failed requests over {RELEASES} releases under load (half POST, keepalive, some 5 s long)",
        figure=f"0 of {REQUESTS:,}",
        parts=LEDGERS,
        evaluate=failed_requests,
    ),
    Promise(
        what="worst latency during a release",
        figure="<= 2 x the steady p99",
        parts=LEDGERS,
        evaluate=worst_latency,
    ),
    Promise(
        what="a broken release (10 kinds)",
        figure="never serves; `up` fails and names the cause; <= 1 server touched",
        parts=(),
        evaluate=_shown_by_test("test_a_release_that_cannot_serve_fails_with_its_cause_and_no_client_sees_it"),
    ),
    Promise(
        what="SIGKILL of a release at 50 random points",
        figure="the site serves throughout; the next `up` needs no repair",
        parts=(),
        evaluate=_shown_by_test(
            "test_kills_at_random_points_leave_the_site_serving_and_the_next_run_needs_no_repair",
            " with `RELEASE_KILLS=50`, as in `weekly.yml`",
        ),
    ),
    Promise(
        what=f"{MINUTES} minutes of random kills of anything on the servers",
        figure="the site serves, nobody has to log in; failed requests counted",
        parts=(chaos.PART,),
        evaluate=random_faults,
    ),
    Promise(
        what="app update: `up` with a changed app",
        figure="<= `up` with no change + 1.5 x the hand-written floor",
        parts=("update",),
        evaluate=app_update,
    ),
    Promise(
        what="4 servers instead of 1",
        figure="rollout <= 1.3 x, where the strategy allows parallel",
        parts=("servers",),
        evaluate=four_servers,
    ),
    Promise(
        what="rollback",
        figure="<= 10 s, with no package registry reachable",
        parts=("rollback",),
        evaluate=rollback,
    ),
    Promise(
        what="`up` with no change",
        figure="opens no SSH connection; <= 1.15 x a minimal program; <= 25 ms a resource",
        parts=("unchanged",),
        evaluate=no_change,
    ),
    Promise(
        what="`preview` and `up` with no change on 1, 10 and 50 servers (AWS, simulated)",
        figure="no SSH connection; <= 1.15 x a minimal program with the same resources; <= 25 ms a resource",
        parts=("slope",),
        evaluate=slope,
    ),
    Promise(
        what="first boot (base image there) to first 200",
        figure="<= 1.2 x apt + uv by hand",
        parts=("boot",),
        evaluate=first_boot,
    ),
    Promise(
        what="the same with a prebuilt image",
        figure="<= 0.3 x",
        parts=(),
        evaluate=lambda: Measurement("there are no prebuilt images yet", False),
    ),
    Promise(
        what="requests/s of the rocket app",
        figure=">= 4 x Elastic Beanstalk's shape, >= 1.3 x the seed's configuration, >= 0.85 x gunicorn alone",
        parts=("throughput",),
        evaluate=throughput,
    ),
    Promise(
        what="12 planted secrets",
        figure="0 found outside the app",
        parts=(),
        evaluate=_shown_by_test(
            "test_no_output_of_a_command_shows_a_secret_even_when_the_command_fails",
            " file with 14 secrets",
        ),
    ),
    Promise(
        what="`pulumi destroy`",
        figure="works with servers dead; leaves nothing behind",
        parts=(),
        evaluate=_shown_by_test("test_up_restores_a_killed_stack_and_destroy_leaves_nothing_behind"),
    ),
)


def table() -> list[str]:
    """A Markdown table. A row without a measurement names the command that measures it."""
    rows = ["| what | promised | measured | kept |", "| --- | --- | --- | --- |"]
    for promise in PROMISES:
        saved = [results.load(part) for part in promise.parts]
        if None in saved:
            measurement = Measurement(f"not yet: `make bench ARGS='{' '.join(promise.parts)}'`", None)
        else:
            measurement = promise.evaluate(*saved)
        kept = {True: "yes", False: "no", None: ""}[measurement.kept]
        rows.append(f"| {promise.what} | {promise.figure} | {measurement.text} | {kept} |")
    return rows
