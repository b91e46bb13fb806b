"""The Procfile: ``name: command`` lines, as Heroku defined them."""

from __future__ import annotations

import re
from pathlib import Path

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")


def of(release: Path) -> dict[str, str]:
    """The processes of an unpacked release."""
    return processes((release / "Procfile").read_text("utf-8-sig"))


def processes(text: str) -> dict[str, str]:
    """Process types and their commands; blank lines and ``#`` comments are passed over.

    Raises ValueError that quotes a line of another form.
    """
    found: dict[str, str] = {}
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise ValueError(f"Procfile: {line!r} is not of the form 'name: command'")
        found[match[1]] = match[2].strip()
    return found


def script(command: str, *before: str) -> bytes:
    """A program that becomes ``command``, after the lines ``before``."""
    # exec: systemd's signals must reach the command itself, not a shell. env: assignments may precede the command.
    return "\n".join(["#!/bin/sh", *before, f"exec /usr/bin/env {command}", ""]).encode()
