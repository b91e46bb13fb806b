"""Releases under load: what became of every request, on one server or on several behind the balancer."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import results, stacks
from bench.load import SLOW_PATH, SLOW_SECONDS
from bench.requests import Release, Request, percentile, read, since, within, wrong_pages
from tests.stack import ROOT, Stack

WATCH_SECONDS = 2
STEADY_SECONDS = 20.0
# Between two releases, so that the old one's long requests end in this part as well.
PAUSE_SECONDS = 2.0


def measure(servers: int, releases: int, rate: float) -> None:
    """Keep all requests and the times of the releases among them."""
    part = f"ledger-{servers}"
    results.FOLDER.mkdir(parents=True, exist_ok=True)
    file = results.FOLDER / f"{part}.csv.gz"
    with stacks.stack(part, servers=servers, watch=WATCH_SECONDS) as stack:
        _release(stack, 0)
        with load(stack.outputs()["url"], file, rate):
            start = time.monotonic()
            time.sleep(STEADY_SECONDS)
            # The engine runs on the same processors as the servers: this is what that alone costs visitors.
            unchanged = [_up(stack, start) for _ in range(3)]
            made = [Release(number, *_release(stack, number, start)) for number in range(1, releases + 1)]
            time.sleep(STEADY_SECONDS)
            seconds = time.monotonic() - start
        found: dict[str, Any] = {
            "servers": servers,
            "rate": rate,
            "watch": WATCH_SECONDS,
            "start": start,
            "seconds": seconds,
            "unchanged": unchanged,
            "releases": [asdict(each) for each in made],
        }
        results.keep(part, found)
        if any(each.failed for each in recorded(part)[1]):
            evidence(stack, servers, results.FOLDER / f"{part}.log")
    print("\n".join(table(part)))


def _up(stack: Stack, zero: float) -> tuple[float, float]:
    """When it began and ended; the requests of the next moments belong to it too, but not to its time."""
    begin = time.monotonic() - zero
    stack.up()
    over = time.monotonic() - zero
    time.sleep(PAUSE_SECONDS)
    return begin, over


def _release(stack: Stack, number: int, zero: float = 0) -> tuple[float, float]:
    stacks.edit(stack, number, stacks.MARKED.format(number=number, seconds=SLOW_SECONDS))
    span = _up(stack, zero)
    stacks.require_page(stack, number)
    return span


@contextmanager
def load(url: str, file: Path, rate: float) -> Generator[None]:
    """Requests while the block runs, written to ``file`` after it."""
    command = [sys.executable, "-m", "bench.load", url, str(file), "--rate", str(rate)]
    with subprocess.Popen(command, cwd=ROOT) as run:
        try:
            time.sleep(3)
            yield
            if run.poll() is not None:
                raise SystemExit("the load ended before what it was to accompany")
        finally:
            run.send_signal(signal.SIGTERM)
            run.wait(timeout=120)


def evidence(stack: Stack, servers: int, file: Path) -> None:
    """What the servers wrote down, for who wants to know why a request failed."""
    said = [
        stack.ssh("sudo tail -n 50 /var/log/nginx/error.log; sudo journalctl --no-pager -n 200", server=number).stdout
        for number in range(servers)
    ]
    file.write_text("\n\n".join(said))


def recorded(part: str) -> tuple[dict[str, Any], list[Request], list[Release]]:
    """What a run has kept; times count from the beginning of the steady part."""
    found = results.kept(part)
    if not found:
        raise SystemExit(f"{part} was not measured yet: make bench ARGS={part}")
    requests = since(read(results.FOLDER / f"{part}.csv.gz"), found["start"])
    return found, requests, [Release(**each) for each in found["releases"]]


def quick(requests: Iterable[Request]) -> list[Request]:
    """Those that aren't long by themselves."""
    return [each for each in requests if each.path != SLOW_PATH]


def steady(found: dict[str, Any], requests: list[Request]) -> list[Request]:
    """Before the first `up` and after the last release had time to end."""
    return within(requests, 0, STEADY_SECONDS) + within(requests, found["seconds"] - STEADY_SECONDS, found["seconds"])


def table(part: str) -> list[str]:
    """One row a release, and what there is to compare them with."""
    found, requests, releases = recorded(part)
    rows = ["| what | `up`, s | requests | failed | p50, ms | p99, ms | worst, ms |", "|" + " --- |" * 7]
    rows.append(_row("steady state", None, steady(found, requests)))
    for begin, over in found["unchanged"]:
        rows.append(_row("`up` with no change", over - begin, within(requests, begin, over)))
    for each in releases:
        during = within(requests, each.start, each.end + PAUSE_SECONDS)
        rows.append(_row(f"release {each.number}", each.end - each.start, during))
    wrong = len(wrong_pages(requests, releases))
    long = sum(each.path == SLOW_PATH for each in requests)
    posts = sum(each.method == "POST" for each in requests)
    failed = [each for each in requests if each.failed]
    rows += ["", f"{len(requests)} requests ({posts} POST, {long} of {SLOW_SECONDS:.0f} s): {len(failed)} failed, "]
    rows[-1] += f"{wrong} with the page of a release that didn't serve"
    rows += [f"  {each.due:.3f} s: {each.method} {each.path} {each.status} {each.problem}" for each in failed[:20]]
    return rows


def _row(what: str, seconds: float | None, requests: list[Request]) -> str:
    values = [each.latency for each in quick(requests)]
    figures = [f"{1000 * percentile(values, share):.1f}" for share in (0.5, 0.99, 1)]
    failed = sum(each.failed for each in requests)
    took = f"{seconds:.1f}" if seconds else ""
    return f"| {what} | {took} | {len(requests)} | {failed} | {' | '.join(figures)} |"
