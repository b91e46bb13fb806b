"""Messages of the set-up. They go to stderr, so that other programs can read the engine's stdout."""

from __future__ import annotations

import sys


class SetupError(Exception):
    """An error that the reader can fix. The message says what is wrong and which command fixes it."""


def say(message: str) -> None:
    print(f"gantry: {message}", file=sys.stderr, flush=True)


def elapsed(seconds: float) -> str:
    """The duration as minutes and seconds, such as 3:05."""
    minutes, remainder = divmod(int(seconds), 60)
    return f"{minutes}:{remainder:02d}"
