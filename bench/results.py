"""What was measured, in .gantry/bench: a file for each part, so that a run may be done in pieces."""

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
    """How long each run of the same took, in seconds. What is compared runs in turn, since computers are noisy."""

    runs: list[float] = field(default_factory=list[float])

    def time(self, action: Callable[[], object]) -> None:
        start = time.monotonic()
        action()
        self.runs.append(time.monotonic() - start)


def keep(part: str, found: dict[str, Any]) -> None:
    """Write down what a part found; ``Times`` become lists."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    when = time.strftime("%Y-%m-%d", time.gmtime())
    document = {"when": when, "load average": round(os.getloadavg()[0], 1), **found}
    text = json.dumps(document, indent=1, default=lambda times: [round(each, 3) for each in times.runs])
    (FOLDER / f"{part}.json").write_text(f"{text}\n")


def kept(part: str) -> dict[str, Any] | None:
    file = FOLDER / f"{part}.json"
    return json.loads(file.read_text()) if file.exists() else None
