"""Measures a stack in which faults happen at random while releases go on, until a last `make up`."""

from __future__ import annotations

import http.client
import json
import math
import random
import secrets
import subprocess
import time
from bisect import bisect
from collections import Counter
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from itertools import chain, count, pairwise
from typing import Any

from bench import disks, faults, ledger, results, stacks
from bench.faults import Fault, Machine, Machines, Planned
from bench.load import SLOW_SECONDS
from bench.requests import Measured, Release, Request, read, since
from tests.stack import Stack, get, output

PART = "chaos"
SERVERS = 3
WATCH_SECONDS = 2
# Requests a second. The processors must have time for the releases.
RATE = 100.0
# No visitor waits longer for a page. The slowest of the app takes 5 s.
LIMIT_SECONDS = 10.0
# If a server dies during `up`, the attempts to connect take four minutes.
UP_SECONDS = 900.0
# Before each fault, and between two releases.
PAUSE_SECONDS = (3.0, 12.0)
RELEASE_PAUSE_SECONDS = 3.0
# The balancer's machine is killed only once, as the last fault: without it, no other fault would show.
KINDS = (
    *faults.PROCESSES,
    faults.SERVERS_MACHINE,
    faults.NO_NETWORK,
    faults.FULL_DISK,
    faults.BALANCERS_NGINX,
)
PAGE = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1/', timeout=10).read().decode(), end='')"


@dataclass(frozen=True)
class Run(Measured):
    """A saved measurement. Times are in seconds after its beginning."""

    seed: int
    seconds: float
    faults: list[Fault]
    # Those whose `make up` failed have no end: afterwards, they or the release before may serve.
    releases: list[Release]
    requests: list[Request]
    # What was wrong after the last `make up`.
    problems: list[str]

    @property
    def succeeded(self) -> int:
        return sum(release.end < math.inf for release in self.releases)


def measure(minutes: float, seed: int | None) -> None:
    """Makes faults for so many minutes. The ``seed`` decides which; without one it is chosen."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    print(f"seed {seed}: make bench ARGS='chaos --seed {seed} --minutes {minutes:g}'", flush=True)
    results.FOLDER.mkdir(parents=True, exist_ok=True)
    (results.FOLDER / f"{PART}.log").write_text("")
    with stacks.stack(PART, servers=SERVERS, watch=WATCH_SECONDS) as stack:
        stacks.write_release(stack, 0, _routes(0))
        stack.up()
        machines = Machines.of(stack.outputs())
        with disks.limited(server.id for server in machines.servers):
            stack.up()
            _measure(stack, machines, minutes, seed)
    print("\n".join(table()))
    run = saved_run()
    if run.problems or run.wrong_pages:
        raise SystemExit("\n".join([*run.problems, *(f"a wrong page: {request}" for request in run.wrong_pages[:20])]))


def _measure(stack: Stack, machines: Machines, minutes: float, seed: int) -> None:
    with ledger.load(stack.outputs()["url"], results.FOLDER / f"{PART}.csv.gz", RATE, LIMIT_SECONDS):
        start = time.monotonic()
        with faults.striking(planned(random.Random(seed), 60 * minutes), machines) as struck:
            releases = list(_release_until(stack, struck))
        last = len(releases) + 1
        releases.append(_release(stack, last))
        problems = _problems(stack, machines, last, served=releases[-1].end < math.inf)
        seconds = time.monotonic() - start
    document: dict[str, Any] = {
        "seed": seed,
        "minutes": minutes,
        "start": start,
        "seconds": seconds,
        "faults": [asdict(fault) for fault in struck.result()],
        # JSON has no infinity.
        "releases": [
            {**asdict(release), "end": release.end if release.end < math.inf else None} for release in releases
        ],
        "problems": problems,
    }
    results.save(PART, document)


def planned(rng: random.Random, seconds: float) -> Generator[Planned]:
    """Faults after random pauses, until so many seconds have passed, and then the last one.

    Each round has all kinds, in a random order.
    """
    end = time.monotonic() + seconds
    rounds = chain.from_iterable(rng.sample(KINDS, len(KINDS)) for _ in count())
    while time.monotonic() < end:
        yield Planned(kind=next(rounds), pause=rng.uniform(*PAUSE_SECONDS), number=rng.randrange(1_000))
    yield Planned(kind=faults.BALANCERS_MACHINE, pause=PAUSE_SECONDS[0], number=0)


def _release_until(stack: Stack, struck: Future[list[Fault]]) -> Generator[Release]:
    """Releases one page after the other until all faults have happened."""
    for number in count(1):
        if struck.done():
            return
        yield _release(stack, number)
        time.sleep(RELEASE_PAUSE_SECONDS)


def _release(stack: Stack, number: int) -> Release:
    """Runs `make up` with another page. Its output is kept if it fails."""
    stacks.write_release(stack, number, _routes(number))
    start = time.monotonic()
    result = stack.make_up(UP_SECONDS)
    end = time.monotonic()
    succeeded = result.returncode == 0
    outcome = "succeeded" if succeeded else "failed"
    print(f"  {time.strftime('%H:%M:%S')} release {number} {outcome} after {end - start:.0f} s", flush=True)
    if not succeeded:
        _keep(number, result)
    return Release(number, start, end if succeeded else math.inf)


def _keep(number: int, result: subprocess.CompletedProcess[str]) -> None:
    with (results.FOLDER / f"{PART}.log").open("a") as log:
        log.write(f"--- release {number}\n{output(result)}\n")


def _routes(number: int) -> str:
    return stacks.LOAD_ROUTES.format(number=number, seconds=SLOW_SECONDS)


def _problems(stack: Stack, machines: Machines, number: int, *, served: bool) -> list[str]:
    """The problems that are left after the last `make up`. This function repairs nothing and logs in nowhere."""
    problems = [] if served else [f"the last `make up` failed: see {results.FOLDER / PART}.log"]
    expected = stacks.page(number)
    url = stack.outputs()["url"]
    answers = Counter(_answer(url) for _ in range(30))
    if set(answers) != {f"200 {expected}"}:
        problems.append(f"the site answers {dict(answers)}, not only {expected!r}")
    for machine in machines.all:
        problems += [f"{machine.name}: {problem}" for problem in broken_layers(machine)]
    for server in machines.servers:
        page = server.run(f'python3 -c "{PAGE}"')
        if page.stdout != expected:
            problems.append(f"{server.name} serves {page.stdout!r}, not {expected!r}: {page.stderr}")
    return problems


def _answer(url: str) -> str:
    try:
        response = get(url)
        return f"{response.status} {response.text}"
    except (OSError, http.client.HTTPException) as error:
        return repr(error)


def broken_layers(machine: Machine) -> list[str]:
    """What `gantry check` finds on a machine."""
    check = machine.run("gantry check --json")
    try:
        findings: list[dict[str, str]] = json.loads(check.stdout)
    except ValueError:
        return [f"`gantry check` failed: {check.stderr}"]
    return [f"{finding['layer']}: {finding['text']}" for finding in findings if finding["state"] == "broken"]


def saved_run() -> Run:
    document = results.require(PART)
    start: float = document["start"]
    times = [(fault, fault["start"] - start, fault["end"] - start) for fault in document["faults"]]
    return Run(
        seed=document["seed"],
        seconds=document["seconds"],
        faults=[Fault(**{**fault, "start": begun, "end": ended}) for fault, begun, ended in times],
        releases=[
            Release(release["number"], release["start"] - start, (release["end"] or math.inf) - start)
            for release in document["releases"]
        ],
        requests=since(read(results.FOLDER / f"{PART}.csv.gz"), start),
        problems=document["problems"],
    )


def table() -> list[str]:
    """A Markdown table with a row for each kind of fault, and the totals below it."""
    run = saved_run()
    timeline = Timeline(run.faults)
    failed = Counter(timeline.kind(request.ended) for request in run.failed)
    outages = timeline.longest_outages(run.requests)
    rows = ["| fault | count | failed requests | longest outage, s |", "|" + " --- |" * 4]
    for kind in (kind.name for kind in (*KINDS, faults.BALANCERS_MACHINE)):
        count = sum(fault.kind == kind for fault in run.faults)
        rows.append(f"| {kind} | {count} | {failed[kind]} | {outages.get(kind, 0.0):.1f} |")
    releases = len(run.releases)
    total = f"{len(run.requests)} requests in {run.seconds / 60:.0f} minutes: {len(run.failed)} failed, "
    total += f"{len(run.wrong_pages)} with the page of a release that didn't serve"
    ups = f"{releases} releases: {run.succeeded} succeeded, {releases - run.succeeded} failed"
    return [*rows, "", total, ups, f"seed {run.seed}"]


class Timeline:
    """Says which fault was the last one before a moment."""

    def __init__(self, struck: Iterable[Fault]) -> None:
        self._faults = sorted(struck, key=lambda fault: fault.start)
        self._starts = [fault.start for fault in self._faults]

    def kind(self, moment: float) -> str:
        """The kind of the last fault that had begun by then; empty before the first one."""
        begun = bisect(self._starts, moment)
        return self._faults[begun - 1].kind if begun else ""

    def longest_outages(self, requests: Iterable[Request]) -> dict[str, float]:
        """For each kind, the longest time in which no request succeeded.

        It belongs to the first fault in this time, or to the last one before it.
        """
        outages: dict[str, float] = {}
        ends = sorted(request.ended for request in requests if not request.failed)
        for before, after in pairwise(ends):
            first = bisect(self._starts, before)
            kind = self.kind(min([after, *self._starts[first : first + 1]]))
            outages[kind] = max(outages.get(kind, 0.0), after - before)
        return outages
