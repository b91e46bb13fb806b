"""The record of a load, and what can be said of it. Pure functions."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """When it should have been asked, was asked, and was answered, in seconds; what the answer was."""

    due: float
    sent: float
    ended: float
    method: str
    path: str
    status: int  # 0 without an answer
    release: str  # of the app that answered
    problem: str

    @property
    def latency(self) -> float:
        """What a visitor waits who comes when the request is due, whoever makes them wait."""
        return self.ended - self.due

    @property
    def failed(self) -> bool:
        return self.status != 200


def write(file: Path, requests: Iterable[Request]) -> None:
    with gzip.open(file, "wt", newline="") as stream:
        csv.writer(stream).writerows(
            [*(f"{moment:.6f}" for moment in (each.due, each.sent, each.ended)), *astuple(each)[3:]]
            for each in requests
        )


def read(file: Path) -> list[Request]:
    """In the order in which they were due; seconds count from the first."""
    with gzip.open(file, "rt", newline="") as stream:
        rows = [
            Request(float(due), float(sent), float(ended), method, path, int(status), release, problem)
            for due, sent, ended, method, path, status, release, problem in csv.reader(stream)
        ]
    return sorted(rows, key=lambda each: each.due)


def since(requests: Sequence[Request], start: float) -> list[Request]:
    """The same with ``start`` as zero."""
    return [replace(r, due=r.due - start, sent=r.sent - start, ended=r.ended - start) for r in requests]


@dataclass(frozen=True)
class Release:
    """One `up` under load: from its start to its end ``number`` replaced the one before."""

    number: int
    start: float
    end: float


def wrong_pages(requests: Iterable[Request], releases: Sequence[Release]) -> list[Request]:
    """Answers of a release that didn't serve then: from its start to its end an `up` may show the old or the new."""
    return [each for each in requests if each.status == 200 and int(each.release) not in _served(each, releases)]


def _served(request: Request, releases: Sequence[Release]) -> range:
    first = max((each.number for each in releases if each.end <= request.sent), default=releases[0].number - 1)
    last = max((each.number for each in releases if each.start <= request.ended), default=releases[0].number - 1)
    return range(first, last + 1)


def within(requests: Iterable[Request], start: float, end: float) -> list[Request]:
    """Those that were due then."""
    return [each for each in requests if start <= each.due < end]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of all don't exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
