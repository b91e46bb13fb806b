"""Pictures. A run of the ledger: latency over time, on a scale of powers of ten, with the releases behind it. And how
the time without a change grows with the resources.

SVG written by hand: it is text in a diff, sharp at any size, and needs no package of the size of matplotlib.
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

WIDTH, HEIGHT = 900, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 44, 40
LOWEST, HIGHEST = 0.001, 10.0
# Each point is this many seconds of requests: some hundred, so that a p99 says something.
STEP_SECONDS = 1.0
# The one that is drawn last lies on top.
LINES = (("worst", 1.0, "#c297ff"), ("p99", 0.99, "#0969da"), ("p50", 0.5, "#1a7f37"))
# Of each command and program: what it is called, its colour, its dashes.
GROWTH = {
    ("preview", "ours"): ("preview", "#0969da", "none"),
    ("preview", "alike"): ("preview, minimal", "#0969da", "4"),
    ("up", "ours"): ("up", "#1a7f37", "none"),
    ("up", "alike"): ("up, minimal", "#1a7f37", "4"),
}
FAILED, RELEASE, UNCHANGED = "#cf222e", "#dde3e9", "#fff1d6"


def draw(part: str, file: Path) -> None:
    found, requests, releases = ledger.recorded(part)
    file.write_text(picture(_title(found["servers"]), requests, releases, found["unchanged"], found["seconds"]))


def picture(
    title: str,
    requests: Sequence[Request],
    releases: Sequence[Release],
    unchanged: Sequence[tuple[float, float]],
    seconds: float,
) -> str:
    across = _Scale(0, seconds, LEFT, WIDTH - RIGHT)
    within = [each for each in requests if 0 <= each.due < seconds]
    moments = _moments(within)
    shapes = [
        *(_span(each.start, each.end, RELEASE, across) for each in releases),
        *(_span(start, end, UNCHANGED, across) for start, end in unchanged),
        *_axes(across, seconds),
        *(_line(moments, share, colour, across) for _, share, colour in LINES),
        *(_failure(each, across) for each in within if each.failed),
        _text(LEFT, 18, title, "start"),
        *_legend(),
    ]
    return _page(shapes)


def draw_growth(sizes: Sequence[dict[str, Any]], file: Path) -> None:
    file.write_text(growth("Seconds of a run without a change, by the number of resources", sizes))


def growth(title: str, sizes: Sequence[dict[str, Any]]) -> str:
    """A line for each command of each program, from nothing on."""
    points = {
        (command, program): [(size["resources"], median(size[command][program]["seconds"])) for size in sizes]
        for command, program in GROWTH
    }
    most = max(seconds for line in points.values() for _, seconds in line)
    across = _Scale(0, max(size["resources"] for size in sizes), LEFT, WIDTH - RIGHT)
    upwards = _Scale(0, most, HEIGHT - BOTTOM, TOP)
    shapes = [_text(LEFT, 18, title, "start")]
    step = max(1, round(most / 6))
    for seconds in range(0, int(most) + 1, step):
        shapes += _gridline(upwards(seconds), f"{seconds} s")
    for size in sizes:
        said = f"{size['resources']} ({size['servers']} server{'s' if size['servers'] > 1 else ''})"
        shapes.append(_text(across(size["resources"]), HEIGHT - BOTTOM + 18, said, "end"))
    for number, (key, (said, colour, dashes)) in enumerate(GROWTH.items()):
        drawn = " ".join(f"{across(resources)},{upwards(seconds)}" for resources, seconds in points[key])
        shapes.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-dasharray="{dashes}"/>')
        shapes += _entry(LEFT + 150 * number, said, colour)
    return _page(shapes)


def _page(shapes: Iterable[str]) -> str:
    # Its own background, so that it can be read on a dark page as well.
    page = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    paper = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    return "\n".join([f'{page} font-size="12">', paper, *shapes, "</svg>", ""])


class _Scale:
    """From a value to a place on the picture."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._factor, self._start = low, (end - start) / (high - low), start

    def __call__(self, value: float) -> float:
        return round(self._start + (value - self._low) * self._factor, 1)


def _up(latency: float) -> float:
    """Where a latency lies: each power of ten is as high as any other."""
    scale = _Scale(math.log10(LOWEST), math.log10(HIGHEST), HEIGHT - BOTTOM, TOP)
    return scale(math.log10(min(max(latency, LOWEST), HIGHEST)))


def _title(servers: int) -> str:
    where = "one server" if servers == 1 else f"{servers} servers behind the local balancer"
    return f"Latency of visitors during releases, {where}"


def _span(start: float, end: float, colour: str, across: _Scale) -> str:
    left, right = across(start), across(end)
    return f'<rect x="{left}" y="{TOP}" width="{right - left:.1f}" height="{HEIGHT - BOTTOM - TOP}" fill="{colour}"/>'


def _axes(across: _Scale, seconds: float) -> Iterable[str]:
    for power in range(round(math.log10(LOWEST)), round(math.log10(HIGHEST)) + 1):
        yield from _gridline(_up(10.0**power), f"{10**power} s" if power >= 0 else f"{10 ** (power + 3)} ms")
    for moment in range(0, int(seconds) + 1, 60):
        yield _text(across(moment), HEIGHT - BOTTOM + 18, f"{moment // 60} min", "middle")


def _gridline(height: float, said: str) -> Iterable[str]:
    yield f'<path d="M{LEFT} {height}H{WIDTH - RIGHT}" stroke="#d0d7de"/>'
    yield _text(LEFT - 6, height + 4, said, "end")


def _moments(requests: Sequence[Request]) -> dict[float, list[float]]:
    """The latencies that each point stands for, by time."""
    found: defaultdict[float, list[float]] = defaultdict(list)
    for each in ledger.quick(requests):
        found[each.due // STEP_SECONDS * STEP_SECONDS].append(each.latency)
    return dict(sorted(found.items()))


def _line(moments: dict[float, list[float]], share: float, colour: str, across: _Scale) -> str:
    points = " ".join(f"{across(moment)},{_up(percentile(values, share))}" for moment, values in moments.items())
    return f'<polyline points="{points}" fill="none" stroke="{colour}"/>'


def _failure(request: Request, across: _Scale) -> str:
    return f'<circle cx="{across(request.due)}" cy="{_up(request.latency)}" r="3" fill="{FAILED}"/>'


def _legend() -> Iterable[str]:
    entries = [*((name, colour) for name, _, colour in reversed(LINES)), ("failed", FAILED)]
    entries += [("a release", RELEASE), ("an up with no change", UNCHANGED)]
    for number, (name, colour) in enumerate(entries):
        yield from _entry(LEFT + 90 * number, name, colour)


def _entry(left: float, name: str, colour: str) -> Iterable[str]:
    yield f'<rect x="{left}" y="26" width="10" height="10" fill="{colour}"/>'
    yield _text(left + 14, 35, name, "start")


def _text(x: float, y: float, said: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{said}</text>'
