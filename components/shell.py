"""Commands that run without a shell. Pure functions."""

from __future__ import annotations

import re
import shlex

_OPERATORS = re.compile(r"^[;|&<>]+$")


def one_command(name: str, command: str, remedy: str = "put several into a script") -> list[str]:
    """The words of a command; raises ValueError for a command that needs a shell.

    ``name`` begins the error, ``remedy`` ends it.
    """
    try:
        words = shlex.split(command)
        operators = [word for word in shlex.shlex(command, punctuation_chars=True) if _OPERATORS.match(word)]
    except ValueError as error:
        raise ValueError(f"{name}: {command!r} can't be read: {error}") from None
    if operators:
        raise ValueError(f"{name}: {command!r} has {operators[0]!r}: it must be one command; {remedy}")
    return words
