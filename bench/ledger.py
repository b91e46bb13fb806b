"""Measures releases under load, on one server or on several behind the balancer, and records every request."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import results, stacks
from bench.load import LIMIT_SECONDS, SLOW_PATH, SLOW_SECONDS
from bench.requests import Measured, Release, Request, percentile, read, since, within
from tests.stack import ROOT, Stack

WATCH_SECONDS = 2
STEADY_SECONDS = 20.0
# Pause after each `up`. Requests that are due in it count for the release: the old release may still answer them.
PAUSE_SECONDS = 2.0


@dataclass(frozen=True)
class Run(Measured):
    """A saved measurement. Times count from the beginning of the first steady part."""

    servers: int
    seconds: float
    unchanged: list[tuple[float, float]]
    releases: list[Release]
    requests: list[Request]

    @property
    def steady(self) -> list[Request]:
        """The requests before the first measured `up`, and those in the last STEADY_SECONDS."""
        end = self.seconds - STEADY_SECONDS
        return within(self.requests, 0, STEADY_SECONDS) + within(self.requests, end, self.seconds)


def measure(servers: int, releases: int, rate: float) -> None:
    """Measures ``releases`` releases at ``rate`` requests per second. Saves the requests and the releases' times."""
    part = f"ledger-{servers}"
    results.FOLDER.mkdir(parents=True, exist_ok=True)
    file = results.FOLDER / f"{part}.csv.gz"
    with stacks.stack(part, servers=servers, watch=WATCH_SECONDS) as stack:
        _release(stack, 0)
        with load(stack.outputs()["url"], file, rate):
            start = time.monotonic()
            time.sleep(STEADY_SECONDS)
            # The engine runs on the same processors as the servers. An `up` without a change shows how much slower the
            # engine alone makes the requests.
            unchanged = [_up(stack, start) for _ in range(3)]
            measured = [Release(number, *_release(stack, number, start)) for number in range(1, releases + 1)]
            time.sleep(STEADY_SECONDS)
            seconds = time.monotonic() - start
        document: dict[str, Any] = {
            "servers": servers,
            "rate": rate,
            "watch": WATCH_SECONDS,
            "start": start,
            "seconds": seconds,
            "unchanged": unchanged,
            "releases": [asdict(release) for release in measured],
        }
        results.save(part, document)
        if saved_run(part).failed:
            save_logs(stack, servers, results.FOLDER / f"{part}.log")
    print("\n".join(table(part)))


def _up(stack: Stack, zero: float) -> tuple[float, float]:
    """Runs `up`, then pauses. Returns the start and the end of `up`, in seconds after ``zero``."""
    start = time.monotonic() - zero
    stack.up()
    end = time.monotonic() - zero
    time.sleep(PAUSE_SECONDS)
    return start, end


def _release(stack: Stack, number: int, zero: float = 0) -> tuple[float, float]:
    stacks.write_release(stack, number, stacks.LOAD_ROUTES.format(number=number, seconds=SLOW_SECONDS))
    span = _up(stack, zero)
    stacks.require_page(stack, number)
    return span


@contextmanager
def load(url: str, file: Path, rate: float, limit: float = LIMIT_SECONDS) -> Generator[None]:
    """Sends requests while the block runs, and writes them to ``file`` after it. A longer one than ``limit`` fails."""
    options = ["--rate", str(rate), "--limit", str(limit)]
    command = [sys.executable, "-m", "bench.load", url, str(file), *options]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            time.sleep(3)
            yield
            if process.poll() is not None:
                raise SystemExit("the load stopped during the measurement")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)


def save_logs(stack: Stack, servers: int, file: Path) -> None:
    """Saves the servers' logs, which may tell why a request failed."""
    logs = [
        stack.ssh("sudo tail -n 50 /var/log/nginx/error.log; sudo journalctl --no-pager -n 200", server=number).stdout
        for number in range(servers)
    ]
    file.write_text("\n\n".join(logs))


def saved_run(part: str) -> Run:
    document = results.require(part)
    return Run(
        servers=document["servers"],
        seconds=document["seconds"],
        unchanged=[(start, end) for start, end in document["unchanged"]],
        releases=[Release(**release) for release in document["releases"]],
        requests=since(read(results.FOLDER / f"{part}.csv.gz"), document["start"]),
    )


def quick(requests: Iterable[Request]) -> list[Request]:
    """The requests without those to SLOW_PATH, which always take long."""
    return [request for request in requests if request.path != SLOW_PATH]


def table(part: str) -> list[str]:
    """A Markdown table: rows for the steady state and unchanged runs, then one row for each release. Totals follow."""
    run = saved_run(part)
    rows = ["| what | `up`, s | requests | failed | p50, ms | p99, ms | worst, ms |", "|" + " --- |" * 7]
    rows.append(_row("steady state", None, run.steady))
    for start, end in run.unchanged:
        rows.append(_row("`up` with no change", end - start, within(run.requests, start, end)))
    for release in run.releases:
        during = within(run.requests, release.start, release.end + PAUSE_SECONDS)
        rows.append(_row(f"release {release.number}", release.end - release.start, during))
    long = sum(request.path == SLOW_PATH for request in run.requests)
    posts = sum(request.method == "POST" for request in run.requests)
    total = f"{len(run.requests)} requests ({posts} POST, {long} of {SLOW_SECONDS:.0f} s): {len(run.failed)} failed, "
    total += f"{len(run.wrong_pages)} with the page of a release that didn't serve"
    return [*rows, "", total, *map(_failure, run.failed[:20])]


def _row(label: str, seconds: float | None, requests: list[Request]) -> str:
    latencies = [request.latency for request in quick(requests)]
    figures = [f"{1000 * percentile(latencies, share):.1f}" for share in (0.5, 0.99, 1)]
    failed = sum(request.failed for request in requests)
    duration = f"{seconds:.1f}" if seconds else ""
    return f"| {label} | {duration} | {len(requests)} | {failed} | {' | '.join(figures)} |"


def _failure(request: Request) -> str:
    return f"  {request.due:.3f} s: {request.method} {request.path} {request.status} {request.problem}"
