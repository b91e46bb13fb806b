"""The results in .gantry/bench: one file for each part, so that parts can be measured at different times."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / ".gantry/bench"


@dataclass
class Times:
    """The seconds of several runs of one action.

    Actions that are compared run in turn, because a computer's other work changes over time.
    """

    runs: list[float] = field(default_factory=list[float])

    def time(self, action: Callable[[], object]) -> None:
        start = time.monotonic()
        action()
        self.runs.append(time.monotonic() - start)


def save(part: str, measured: dict[str, Any]) -> None:
    """Writes the results of a part as JSON; ``Times`` become lists of seconds."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    date = time.strftime("%Y-%m-%d", time.gmtime())
    document = {"when": date, "load average": round(os.getloadavg()[0], 1), **measured}
    text = json.dumps(document, indent=1, default=lambda times: [round(seconds, 3) for seconds in times.runs])
    (FOLDER / f"{part}.json").write_text(f"{text}\n")


def load(part: str) -> dict[str, Any] | None:
    """The saved results of a part; None if it wasn't measured yet."""
    file = FOLDER / f"{part}.json"
    return json.loads(file.read_text()) if file.exists() else None


def require(part: str) -> dict[str, Any]:
    """The saved results of a part; an error that names the command if there are none."""
    saved = load(part)
    if not saved:
        raise SystemExit(f"{part} was not measured yet: make bench ARGS={part}")
    return saved
