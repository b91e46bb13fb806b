"""Output for the operator: one line for each phase, with its duration."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path


def say(line: str) -> None:
    """Print a line. If nobody reads the output any more, the program continues: a release must not stop half-way."""
    try:
        print(line, flush=True)
    except OSError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (stays open until the program ends)


class Phases(dict[str, float]):
    """The seconds of the phases that have ended. ``running`` is the phase in progress, or "" between two phases.

    ``changed`` is called when a phase begins or ends.
    """

    running: str = ""
    changed: Callable[[], object] | None = None

    def begin(self, name: str) -> None:
        self.running = name
        self._tell()

    def end(self, name: str, seconds: float) -> None:
        self[name], self.running = round(seconds, 3), ""
        self._tell()

    def _tell(self) -> None:
        if self.changed:
            self.changed()


@contextmanager
def phase(name: str, seconds: Phases | None = None) -> Generator[list[str]]:
    """Measure the block and print a line with its name, its duration and the notes that the block adds to the list.

    The duration is also stored in ``seconds``, under the name.
    """
    notes: list[str] = []
    start = time.monotonic()
    if seconds is not None:
        seconds.begin(name)
    try:
        yield notes
    except BaseException:
        notes[:] = ["failed"]
        raise
    finally:
        duration = time.monotonic() - start
        if seconds is not None:
            seconds.end(name, duration)
        say(f"{name:<12} {duration:6.2f} s  {', '.join(notes)}".rstrip())
