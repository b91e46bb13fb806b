"""Draws the results: the latency during releases over time, and the time of a run without a change by resources.

The latency has a logarithmic scale. The pictures are SVG from this code: they are text in a diff and sharp at any size,
and need no large package such as matplotlib.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import ledger
from bench.requests import Release, Request, percentile
from bench.slope import GANTRY, MINIMAL

WIDTH, HEIGHT = 900, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 44, 40
LOWEST, HIGHEST = 0.001, 10.0
# Each point stands for the requests of this time: some hundred, enough for a meaningful p99.
STEP_SECONDS = 1.0
# In drawing order: the last line is on top.
LINES = (("worst", 1.0, "#c297ff"), ("p99", 0.99, "#0969da"), ("p50", 0.5, "#1a7f37"))
# For each command and program: label, colour and dashes.
GROWTH = {
    ("preview", GANTRY): ("preview", "#0969da", "none"),
    ("preview", MINIMAL): ("preview, minimal", "#0969da", "4"),
    ("up", GANTRY): ("up", "#1a7f37", "none"),
    ("up", MINIMAL): ("up, minimal", "#1a7f37", "4"),
}
FAILED, RELEASE, UNCHANGED = "#cf222e", "#dde3e9", "#fff1d6"


def draw(part: str, file: Path) -> None:
    run = ledger.saved_run(part)
    shown = picture(
        _title(run.servers),
        requests=run.requests,
        releases=run.releases,
        unchanged=run.unchanged,
        seconds=run.seconds,
    )
    file.write_text(shown)


def picture(
    title: str,
    *,
    requests: Sequence[Request],
    releases: Sequence[Release],
    unchanged: Sequence[tuple[float, float]],
    seconds: float,
) -> str:
    """Latencies over time, in front of the releases and of the runs with no change."""
    across = _Scale(low=0, high=seconds, start=LEFT, end=WIDTH - RIGHT)
    in_time = [request for request in requests if 0 <= request.due < seconds]
    latencies = _latencies_by_time(in_time)
    shapes = [
        *(_span(release.start, release.end, colour=RELEASE, across=across) for release in releases),
        *(_span(start, end, colour=UNCHANGED, across=across) for start, end in unchanged),
        *_axes(across, seconds),
        *(_line(latencies, share, colour=colour, across=across) for _, share, colour in LINES),
        *(_failure(request, across) for request in in_time if request.failed),
        _text(LEFT, 18, title, anchor="start"),
        *_legend(),
    ]
    return _page(shapes)


def draw_growth(sizes: Sequence[dict[str, Any]], file: Path) -> None:
    file.write_text(growth("Seconds of a run without a change, by the number of resources", sizes))


def growth(title: str, sizes: Sequence[dict[str, Any]]) -> str:
    """A line for each command of each program; both axes begin at 0."""
    points = {
        (command, program): [(size["resources"], median(size[command][program]["seconds"])) for size in sizes]
        for command, program in GROWTH
    }
    longest = max(seconds for line in points.values() for _, seconds in line)
    across = _Scale(low=0, high=max(size["resources"] for size in sizes), start=LEFT, end=WIDTH - RIGHT)
    upwards = _Scale(low=0, high=longest, start=HEIGHT - BOTTOM, end=TOP)
    shapes = [_text(LEFT, 18, title, anchor="start")]
    step = max(1, round(longest / 6))
    for seconds in range(0, int(longest) + 1, step):
        shapes += _gridline(upwards(seconds), f"{seconds} s")
    for size in sizes:
        label = f"{size['resources']} ({size['servers']} server{'s' if size['servers'] > 1 else ''})"
        shapes.append(_text(across(size["resources"]), HEIGHT - BOTTOM + 18, label, anchor="end"))
    for number, (key, (label, colour, dashes)) in enumerate(GROWTH.items()):
        line = " ".join(f"{across(resources)},{upwards(seconds)}" for resources, seconds in points[key])
        shapes.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-dasharray="{dashes}"/>')
        shapes += _entry(LEFT + 150 * number, label, colour)
    return _page(shapes)


def _page(shapes: Iterable[str]) -> str:
    # A white background, so that it can be read on a dark page, too.
    page = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    paper = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    return "\n".join([f'{page} font-size="12">', paper, *shapes, "</svg>", ""])


class _Scale:
    """Maps a value to a position in the picture."""

    def __init__(self, *, low: float, high: float, start: float, end: float) -> None:
        self._low, self._factor, self._start = low, (end - start) / (high - low), start

    def __call__(self, value: float) -> float:
        return round(self._start + (value - self._low) * self._factor, 1)


def _latency_position(latency: float) -> float:
    """The height of a latency on a logarithmic scale."""
    scale = _Scale(low=math.log10(LOWEST), high=math.log10(HIGHEST), start=HEIGHT - BOTTOM, end=TOP)
    return scale(math.log10(min(max(latency, LOWEST), HIGHEST)))


def _title(servers: int) -> str:
    where = "one server" if servers == 1 else f"{servers} servers behind the local balancer"
    return f"Latency of visitors' requests during releases, {where}"


def _span(start: float, end: float, *, colour: str, across: _Scale) -> str:
    left, right = across(start), across(end)
    return f'<rect x="{left}" y="{TOP}" width="{right - left:.1f}" height="{HEIGHT - BOTTOM - TOP}" fill="{colour}"/>'


def _axes(across: _Scale, seconds: float) -> Iterable[str]:
    for power in range(round(math.log10(LOWEST)), round(math.log10(HIGHEST)) + 1):
        yield from _gridline(
            _latency_position(10.0**power), f"{10**power} s" if power >= 0 else f"{10 ** (power + 3)} ms"
        )
    for moment in range(0, int(seconds) + 1, 60):
        yield _text(across(moment), HEIGHT - BOTTOM + 18, f"{moment // 60} min", anchor="middle")


def _gridline(height: float, label: str) -> Iterable[str]:
    yield f'<path d="M{LEFT} {height}H{WIDTH - RIGHT}" stroke="#d0d7de"/>'
    yield _text(LEFT - 6, height + 4, label, anchor="end")


def _latencies_by_time(requests: Sequence[Request]) -> dict[float, list[float]]:
    """The latencies of each step, by the time at which it begins."""
    latencies: defaultdict[float, list[float]] = defaultdict(list)
    for request in ledger.quick(requests):
        latencies[request.due // STEP_SECONDS * STEP_SECONDS].append(request.latency)
    return dict(sorted(latencies.items()))


def _line(latencies: dict[float, list[float]], share: float, *, colour: str, across: _Scale) -> str:
    points = " ".join(
        f"{across(moment)},{_latency_position(percentile(values, share))}" for moment, values in latencies.items()
    )
    return f'<polyline points="{points}" fill="none" stroke="{colour}"/>'


def _failure(request: Request, across: _Scale) -> str:
    return f'<circle cx="{across(request.due)}" cy="{_latency_position(request.latency)}" r="3" fill="{FAILED}"/>'


def _legend() -> Iterable[str]:
    entries = [*((name, colour) for name, _, colour in reversed(LINES)), ("failed", FAILED)]
    entries += [("a release", RELEASE), ("an up with no change", UNCHANGED)]
    for number, (name, colour) in enumerate(entries):
        yield from _entry(LEFT + 90 * number, name, colour)


def _entry(left: float, name: str, colour: str) -> Iterable[str]:
    yield f'<rect x="{left}" y="26" width="10" height="10" fill="{colour}"/>'
    yield _text(left + 14, 35, name, anchor="start")


def _text(x: float, y: float, content: str, *, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{content}</text>'
