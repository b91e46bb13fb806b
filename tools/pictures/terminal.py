"""A moving picture of a terminal, from a recording by record.py.

The picture shows each line for as long as it was on the screen. A reader who prefers no motion gets the last screen. A
program without CSS gets it, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tools.pictures import svg

CELL_WIDTH, CELL_HEIGHT, FONT_SIZE = 7.83, 17.0, 13.0
MARGIN, BAR = 16.0, 30.0
# The last screen stays this long before the picture starts again.
PAUSE_SECONDS = 6.0
# Changes within this time are shown together.
FRAME_SECONDS = 0.1
# The colours that Pulumi uses, by their numbers among a terminal's 16 or 256. The values are GitHub's dark palette.
COLOURS = {
    "1": "#ff7b72",
    "2": "#3fb950",
    "3": "#d29922",
    "4": "#58a6ff",
    "5": "#bc8cff",
    "6": "#39c5cf",
    "9": "#ffa198",
    "10": "#56d364",
    "11": "#e3b341",
    "12": "#79c0ff",
    "13": "#d2a8ff",
    "14": "#56d4dd",
}
_PIECE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")
_WORDS = re.compile(r"\S+(?: \S+)*")

# Characters with the class of each.
Line = tuple[tuple[str, str], ...]


@dataclass
class Terminal:
    """As much of a terminal as Pulumi's display needs. Lines that have scrolled away are kept."""

    columns: int
    lines: list[list[tuple[str, str]]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    colour: str = ""
    bold: bool = False

    def write(self, output: str) -> None:
        for numbers, command, control, words in _PIECE.findall(output):
            if command:
                self._command(command, numbers)
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self._next_row()
            for character in words:
                self._put(character)

    def screen(self, rows: int) -> tuple[Line, ...]:
        """The last ``rows`` lines, without blanks at their ends."""
        return tuple(_trimmed(line) for line in self.lines[-rows:])

    def _next_row(self) -> None:
        self.row += 1
        while len(self.lines) <= self.row:
            self.lines.append([])

    def _put(self, character: str) -> None:
        if self.column == self.columns:
            self._next_row()
            self.column = 0
        line = self.lines[self.row]
        line += [(" ", "")] * (self.column + 1 - len(line))
        line[self.column] = (character, " ".join(filter(None, [self.colour, "b" if self.bold else ""])))
        self.column += 1

    def _command(self, command: str, numbers: str) -> None:
        match command:
            case "A":
                self.row = max(0, self.row - int(numbers or 1))
            case "K":
                del self.lines[self.row][self.column :]
            case "m":
                self._style(numbers.split(";"))
            case "h" | "l":  # whether the cursor is shown
                pass
            case _:
                raise ValueError(f"the recording has a command that this terminal doesn't know: {command}")

    def _style(self, numbers: list[str]) -> None:
        match numbers:
            case ["" | "0"]:
                self.colour, self.bold = "", False
            case ["1"]:
                self.bold = True
            case ["38", "5", colour]:
                self.colour = f"c{colour}" if colour in COLOURS else ""
            case [one] if one.startswith("3") and one[1:] in COLOURS:
                self.colour = f"c{one[1:]}"
            case _:
                pass


@dataclass(frozen=True)
class Shown:
    """A line of the screen, and the seconds at which it appears and disappears; None is the end of the recording."""

    row: int
    line: Line
    start: float
    end: float | None


def draw(recording: str) -> str:
    """The picture of a recording: a dark window, on any page."""
    header, *events = (json.loads(line) for line in recording.splitlines())
    rows = int(header["height"])
    shown = list(_shown(_screens(events, header["width"], rows)))
    total = events[-1][0] + PAUSE_SECONDS
    width = header["width"] * CELL_WIDTH + 2 * MARGIN
    height = rows * CELL_HEIGHT + BAR + 2 * MARGIN
    times = sorted({(line.start, line.end) for line in shown}, key=lambda time: (time[0], time[1] or total))
    names = {time: f"t{number}" for number, time in enumerate(times)}
    elements = [
        svg.rectangle(0.5, 0.5, width=width - 1, height=height - 1, kind="window", radius=10),
        *(svg.circle(MARGIN + 6 + 20 * number, BAR / 2 + 3, radius=6, kind="button") for number in range(3)),
        *(_text(line, names[line.start, line.end]) for line in shown),
    ]
    return svg.page(width, height, title=str(header["title"]), style=_style(names, total), elements=elements)


def _screens(events: Iterable[tuple[float, str, str]], columns: int, rows: int) -> list[tuple[float, tuple[Line, ...]]]:
    """Each screen, with the second at which it appears."""
    terminal, screens = Terminal(columns), list[tuple[float, tuple[Line, ...]]]()
    for seconds, _, output in events:
        terminal.write(output)
        time = round(seconds / FRAME_SECONDS) * FRAME_SECONDS
        if screens and screens[-1][0] == time:
            screens.pop()
        screens.append((time, terminal.screen(rows)))
    return screens


def _shown(screens: list[tuple[float, tuple[Line, ...]]]) -> Iterable[Shown]:
    visible: dict[int, tuple[Line, float]] = {}
    for time, screen in screens:
        for row in range(max(len(screen), *visible, 0) if visible else len(screen)):
            line = screen[row] if row < len(screen) else ()
            before, since = visible.get(row, ((), 0.0))
            if line != before:
                if before:
                    yield Shown(row, before, start=since, end=time)
                visible[row] = (line, time)
    for row, (line, since) in visible.items():
        if line:
            yield Shown(row, line, start=since, end=None)


def _text(shown: Shown, time: str) -> str:
    """Runs of one colour, each at its own column: fonts differ in width."""
    y = BAR + MARGIN + (shown.row + 0.75) * CELL_HEIGHT
    spans: list[str] = []
    column = 0
    while column < len(shown.line):
        kind = shown.line[column][1]
        end = column
        while end < len(shown.line) and shown.line[end][1] == kind:
            end += 1
        words = "".join(character for character, _ in shown.line[column:end])
        for run in _WORDS.finditer(words):
            spans.append(svg.span(run[0], kind, MARGIN + (column + run.start()) * CELL_WIDTH))
        column = end
    return svg.text(MARGIN, y, spans, kind=time if shown.end is None else f"o {time}")


def _style(names: dict[tuple[float, float | None], str], total: float) -> str:
    colours = "".join(f".c{number}{{fill:{colour}}}" for number, colour in COLOURS.items())
    base = [
        f"text{{font:{FONT_SIZE}px {svg.MONOSPACE};fill:#e6edf3}}.b{{font-weight:600}}",
        ".window{fill:#0d1117;stroke:#3d444d}.button{fill:#3d444d}",
        colours,
        ".o{visibility:hidden}",
    ]
    moving = [f"text{{animation:{total:.1f}s step-end infinite}}"]
    for (start, end), name in names.items():
        moving.append(f".{name}{{animation-name:{name}}}@keyframes {name}{{{_frames(start, end, total)}}}")
    return "\n".join([*base, "@media(prefers-reduced-motion:no-preference){", *moving, "}", ""])


def _frames(start: float, end: float | None, total: float) -> str:
    frames = [] if start == 0 else ["0%{visibility:hidden}"]
    frames.append(f"{svg.number(start / total * 100)}%{{visibility:visible}}")
    frames.append(
        "to{visibility:visible}" if end is None else f"{svg.number(end / total * 100)}%,to{{visibility:hidden}}"
    )
    return "".join(frames)


def _trimmed(line: list[tuple[str, str]]) -> Line:
    end = len(line)
    while end and line[end - 1][0] == " ":
        end -= 1
    return tuple(line[:end])
