"""A picture from a drawing in text: boxes, arrows and labels, each at its place in the grid of characters.

``┌─┐│└┘`` is a box; ``┌─good──┐`` is one of the kind ``good``, which has colours of its own. Between boxes, ``─│╭╮╰╯``
are lines, ``┄┆`` dashed ones, ``═║╔╗╚╝`` traffic, ``╍╏┏┛`` requests in flight, and ``▶◀▲▼`` their arrowheads.
``*bold*`` and ```code``` are marked; words in the middle of a box are centred.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.pictures import svg

CELL_WIDTH, CELL_HEIGHT, FONT_SIZE = 8.0, 19.0, 13.5
MARGIN, HEAD_LENGTH = 14.0, 9.0
RIGHT, LEFT, DOWN, UP = (1, 0), (-1, 0), (0, 1), (0, -1)
# The kind of line of each character, and the directions in which it goes on.
LINES = {
    "─": ("line", RIGHT, LEFT),
    "│": ("line", UP, DOWN),
    "╭": ("line", RIGHT, DOWN),
    "╮": ("line", LEFT, DOWN),
    "╰": ("line", RIGHT, UP),
    "╯": ("line", LEFT, UP),
    "├": ("line", UP, DOWN, RIGHT),
    "└": ("line", UP, RIGHT),
    "═": ("traffic", RIGHT, LEFT),
    "║": ("traffic", UP, DOWN),
    "╔": ("traffic", RIGHT, DOWN),
    "╗": ("traffic", LEFT, DOWN),
    "╚": ("traffic", RIGHT, UP),
    "╝": ("traffic", LEFT, UP),
    "┄": ("dashed", RIGHT, LEFT),
    "┆": ("dashed", UP, DOWN),
    "╍": ("in-flight", RIGHT, LEFT),
    "╏": ("in-flight", UP, DOWN),
    "┏": ("in-flight", RIGHT, DOWN),
    "┛": ("in-flight", LEFT, UP),
}
ARROWS = {"▶": RIGHT, "◀": LEFT, "▼": DOWN, "▲": UP}
_TOP = re.compile("┌[─a-z]*┐")
_RUN = re.compile(r"\S+(?: \S+)*")
_MARKED = re.compile(r"(\*[^*]+\*|`[^`]+`)")

# GitHub's own colours; each kind of box is filled and framed.
LIGHT = {
    "page": "#ffffff",
    "text": "#1f2328",
    "line": "#59636e",
    "traffic": "#0969da",
    "box": ("#f6f8fa", "#8c959f"),
    "frame": ("#ffffff", "#d1d9e0"),
    "good": ("#dafbe1", "#1a7f37"),
    "trial": ("#fff8c5", "#9a6700"),
    "bad": ("#ffebe9", "#cf222e"),
    "idle": ("#f6f8fa", "#8c959f"),
    "blue": ("#ddf4ff", "#0969da"),
}
DARK = {
    "page": "#0d1117",
    "text": "#e6edf3",
    "line": "#9198a1",
    "traffic": "#4493f8",
    "box": ("#151b23", "#656c76"),
    "frame": ("#0d1117", "#3d444d"),
    "good": ("#12261e", "#3fb950"),
    "trial": ("#272115", "#d29922"),
    "bad": ("#301b1f", "#f85149"),
    "idle": ("#151b23", "#656c76"),
    "blue": ("#121d2f", "#4493f8"),
}

# A character of the text: column and line; and a point of the picture.
Place = tuple[int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """The places of its corners, and its kind."""

    left: int
    top: int
    right: int
    bottom: int
    kind: str

    def edge(self) -> set[Place]:
        across = {(x, y) for x in range(self.left, self.right + 1) for y in (self.top, self.bottom)}
        return across | {(x, y) for y in range(self.top, self.bottom + 1) for x in (self.left, self.right)}

    def holds(self, x: int, y: int) -> bool:
        return self.left < x < self.right and self.top < y < self.bottom

    def area(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)


class Drawing:
    """A grid of characters. The characters outside of it are blank."""

    def __init__(self, source: str) -> None:
        self.rows = source.rstrip("\n").split("\n")
        self.width = max(len(row) for row in self.rows)
        self.boxes = self._boxes()
        self.edges = {place for box in self.boxes for place in box.edge()}

    def at(self, place: Place) -> str:
        x, y = place
        return self.rows[y][x] if 0 <= y < len(self.rows) and 0 <= x < len(self.rows[y]) else " "

    def _boxes(self) -> list[Box]:
        """The boxes, the largest first, so that inner boxes are drawn on top. Raises ValueError for an open box."""
        boxes: list[Box] = []
        for y, row in enumerate(self.rows):
            for top in _TOP.finditer(row):
                left, right, bottom = top.start(), top.end() - 1, y + 1
                while self.at((left, bottom)) not in "└ ":
                    bottom += 1
                if (self.at((left, bottom)), self.at((right, bottom))) != ("└", "┘"):
                    raise ValueError(f"the box at line {y + 1}, column {left + 1} isn't closed")
                kind = "".join(re.findall("[a-z]", top[0])) or "box"
                boxes.append(Box(left=left, top=y, right=right, bottom=bottom, kind=kind))
        return sorted(boxes, key=Box.area, reverse=True)

    def lines(self) -> dict[str, list[str]]:
        """The data of paths, by kind of line."""
        segments: dict[str, list[str]] = {"line": [], "dashed": [], "traffic": [], "in-flight": []}
        for place, character in self._cells():
            if character in LINES:
                kind, *directions = LINES[character]
                segments[kind] += [self._segment(place, direction) for direction in directions]
            elif character in ARROWS:
                direction = ARROWS[character]
                tip, back = self._tip(place, direction), _middle(place, direction, -0.5)
                base = tip[0] - direction[0] * HEAD_LENGTH, tip[1] - direction[1] * HEAD_LENGTH
                segments[self._behind(place, direction)].append(_line(back, base))
        return segments

    def arrows(self) -> list[tuple[str, str]]:
        """The data and the kind of each arrowhead."""
        heads: list[tuple[str, str]] = []
        for place, character in self._cells():
            if character in ARROWS:
                direction = ARROWS[character]
                heads.append((_head(self._tip(place, direction), direction), self._behind(place, direction)))
        return heads

    def texts(self) -> list[str]:
        elements: list[str] = []
        for y, row in enumerate(self.rows):
            words = "".join(
                " " if (x, y) in self.edges or character in LINES or character in ARROWS else character
                for x, character in enumerate(row)
            )
            elements += [self._text(run.start(), run.end() - 1, y=y, words=run[0]) for run in _RUN.finditer(words)]
        return elements

    def _cells(self) -> list[tuple[Place, str]]:
        every = [((x, y), character) for y, row in enumerate(self.rows) for x, character in enumerate(row)]
        return [(place, character) for place, character in every if place not in self.edges]

    def _segment(self, place: Place, direction: Place) -> str:
        """From the middle of a character to its border, or to the edge of the box beside it."""
        return _line(_middle(place), self._tip(place, direction))

    def _tip(self, place: Place, direction: Place) -> Point:
        return _middle(place, direction, 1.0 if _step(place, direction) in self.edges else 0.5)

    def _behind(self, place: Place, direction: Place) -> str:
        """The kind of line that an arrowhead ends."""
        return LINES.get(self.at(_step(place, direction, -1)), ("line",))[0]

    def _text(self, first: int, last: int, y: int, words: str) -> str:
        around = [box for box in self.boxes if box.holds(first, y)]
        baseline = _middle((0, y))[1] + FONT_SIZE * 0.35
        if around and first - around[-1].left > 2 and abs((first - around[-1].left) - (around[-1].right - last)) <= 1:
            middle = (_middle((around[-1].left, y))[0] + _middle((around[-1].right, y))[0]) / 2
            return svg.text(middle, baseline, _spans(words), kind="middle")
        return svg.text(_middle((first, y))[0] - CELL_WIDTH / 2, baseline, _spans(words))


def draw(source: str) -> str:
    """The picture of a text whose first line is its title."""
    title, _, grid = source.partition("\n")
    drawing = Drawing(grid.strip("\n"))
    width = drawing.width * CELL_WIDTH + 2 * MARGIN
    height = len(drawing.rows) * CELL_HEIGHT + 2 * MARGIN
    elements = [svg.rectangle(0.5, 0.5, width=width - 1, height=height - 1, kind="page", radius=8)]
    for box in drawing.boxes:
        (x, y), (right, bottom) = _middle((box.left, box.top)), _middle((box.right, box.bottom))
        elements.append(svg.rectangle(x, y, width=right - x, height=bottom - y, kind=box.kind, radius=6))
    elements += [svg.path("".join(data), kind) for kind, data in drawing.lines().items() if data]
    elements += [svg.path(data, f"head-{kind}") for data, kind in drawing.arrows()]
    return svg.page(width, height, title=title, style=_style(), elements=[*elements, *drawing.texts()])


def _style() -> str:
    fonts = f"text{{font:{FONT_SIZE}px {svg.SANS}}}.middle{{text-anchor:middle}}.bold{{font-weight:600}}"
    code = f".code{{font-family:{svg.MONOSPACE};font-size:{FONT_SIZE - 1.5}px}}"
    paths = "path{fill:none;stroke-width:1.5;stroke-linecap:round}.traffic,.in-flight{stroke-width:2.5}"
    dashes = ".dashed{stroke-dasharray:1 5}.in-flight{stroke-dasharray:1 6}"
    return f"{fonts}{code}\n{paths}{dashes}\n{_colours(LIGHT)}\n@media(prefers-color-scheme:dark){{{_colours(DARK)}}}\n"


def _colours(palette: dict[str, str | tuple[str, str]]) -> str:
    rules: list[str] = []
    for name, colour in palette.items():
        match name, colour:
            case "page", str():
                rules.append(f".page{{fill:{colour};stroke:{palette['line']};stroke-opacity:.3}}")
            case "text", str():
                rules.append(f"text{{fill:{colour}}}")
            case "traffic", str():
                rules.append(f".traffic,.in-flight{{stroke:{colour}}}.head-traffic,.head-in-flight{{fill:{colour}}}")
            case _, str():
                rules.append(f".line,.dashed{{stroke:{colour}}}.head-line,.head-dashed{{fill:{colour}}}")
            case _, (fill, stroke):
                rules.append(f".{name}{{fill:{fill};stroke:{stroke}}}")
    return "".join(rules)


def _spans(words: str) -> list[str]:
    spans: list[str] = []
    for part in _MARKED.split(words):
        kind = {"*": "bold", "`": "code"}.get(part[:1], "") if _MARKED.fullmatch(part) else ""
        if part:
            spans.append(svg.span(part[1:-1] if kind else part, kind))
    return spans


def _step(place: Place, direction: Place, steps: int = 1) -> Place:
    return place[0] + direction[0] * steps, place[1] + direction[1] * steps


def _middle(place: Place, direction: Place = (0, 0), steps: float = 0) -> Point:
    """The middle of a character, or a point some characters away from there."""
    x = MARGIN + (place[0] + 0.5 + direction[0] * steps) * CELL_WIDTH
    return x, MARGIN + (place[1] + 0.5 + direction[1] * steps) * CELL_HEIGHT


def _head(tip: Point, direction: Place) -> str:
    """A triangle."""
    (x, y), (across, down), half = tip, direction, HEAD_LENGTH / 2
    base_x, base_y = x - across * HEAD_LENGTH, y - down * HEAD_LENGTH
    corners = (base_x + down * half, base_y + across * half), (base_x - down * half, base_y - across * half)
    return f"M{_point(tip)}L{_point(corners[0])}L{_point(corners[1])}Z"


def _line(start: Point, end: Point) -> str:
    return f"M{_point(start)}L{_point(end)}"


def _point(point: Point) -> str:
    return f"{svg.number(point[0])} {svg.number(point[1])}"
