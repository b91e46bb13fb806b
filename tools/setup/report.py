"""How the set-up speaks: progress goes to stderr, so that what the engine prints can be read by programs."""

from __future__ import annotations

import sys


class SetupError(Exception):
    """Something that the reader can mend: what is wrong, and the command that mends it."""


def say(message: str) -> None:
    print(f"gantry: {message}", file=sys.stderr, flush=True)


def elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
