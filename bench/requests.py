"""The record of a load and its evaluation. Pure functions, except for writing and reading the record."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """One request: when it was due, when it was sent and when its response ended, in seconds, and the response."""

    due: float
    sent: float
    ended: float
    method: str
    path: str
    status: int  # 0 without a response
    release: str  # the release that responded
    problem: str

    @property
    def latency(self) -> float:
        """The seconds from the due time to the end of the response, including a wait before the request is sent."""
        return self.ended - self.due

    @property
    def failed(self) -> bool:
        return self.status != 200


def write(file: Path, requests: Iterable[Request]) -> None:
    with gzip.open(file, "wt", newline="") as stream:
        csv.writer(stream).writerows(
            [*(f"{moment:.6f}" for moment in (request.due, request.sent, request.ended)), *astuple(request)[3:]]
            for request in requests
        )


def read(file: Path) -> list[Request]:
    """The recorded requests, in the order in which they were due."""
    with gzip.open(file, "rt", newline="") as stream:
        rows = [
            Request(
                due=float(due),
                sent=float(sent),
                ended=float(ended),
                method=method,
                path=path,
                status=int(status),
                release=release,
                problem=problem,
            )
            for due, sent, ended, method, path, status, release, problem in csv.reader(stream)
        ]
    return sorted(rows, key=lambda request: request.due)


def since(requests: Sequence[Request], start: float) -> list[Request]:
    """The same requests, with times that count from ``start``."""
    return [replace(r, due=r.due - start, sent=r.sent - start, ended=r.ended - start) for r in requests]


@dataclass(frozen=True)
class Release:
    """One `up` under load. Between its start and its end, release ``number`` replaced the one before."""

    number: int
    start: float
    end: float


class Measured:
    """What the releases of a measurement meant for its requests."""

    releases: list[Release]
    requests: list[Request]

    @property
    def failed(self) -> list[Request]:
        return [request for request in self.requests if request.failed]

    @property
    def wrong_pages(self) -> list[Request]:
        return wrong_pages(self.requests, self.releases)


def wrong_pages(requests: Iterable[Request], releases: Sequence[Release]) -> list[Request]:
    """The responses of a release that didn't serve at that time. During an `up`, both the old and the new one serve."""
    return [
        request
        for request in requests
        if request.status == 200 and int(request.release) not in _serving(request, releases)
    ]


def _serving(request: Request, releases: Sequence[Release]) -> range:
    """The numbers of the releases that may have served this request."""
    before = releases[0].number - 1
    first = max((release.number for release in releases if release.end <= request.sent), default=before)
    last = max((release.number for release in releases if release.start <= request.ended), default=before)
    return range(first, last + 1)


def within(requests: Iterable[Request], start: float, end: float) -> list[Request]:
    """The requests that were due in this time."""
    return [request for request in requests if start <= request.due < end]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value V such that at least ``share`` of all values are <= V."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
