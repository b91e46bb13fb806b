"""Lines for the person who waits: one for each phase, with its time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def say(line: str) -> None:
    """Print a line; a reader that went away must not stop a release half-way."""
    try:
        print(line, flush=True)
    except OSError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (stays open until the program ends)


@contextmanager
def phase(name: str, times: dict[str, float] | None = None) -> Generator[list[str]]:
    """Time a phase. What the block appends to the list it gets is printed behind the name; ``times`` gets the time."""
    notes: list[str] = []
    start = time.monotonic()
    try:
        yield notes
    except BaseException:
        notes[:] = ["failed"]
        raise
    finally:
        took = time.monotonic() - start
        if times is not None:
            times[name] = round(took, 3)
        say(f"{name:<12} {took:6.2f} s  {', '.join(notes)}".rstrip())
