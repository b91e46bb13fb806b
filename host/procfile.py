"""The Procfile: ``name: command`` lines, as Heroku defined them."""

from __future__ import annotations

import re
from pathlib import Path

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")
# Anywhere in the command, since tracers and profilers wrap it; a gunicorn.conf.py may say what it serves.
_GUNICORN = re.compile(r"(^|[\s/])gunicorn(\s|$)")


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


def is_gunicorn(command: str) -> bool:
    """Whether a web command starts Gunicorn, which knows by its settings where to listen."""
    return _GUNICORN.search(command) is not None


def script(command: str, *before: str) -> bytes:
    """A program that becomes ``command``, after the lines ``before``."""
    # exec: systemd's signals must reach the command itself, not a shell. env: assignments may precede the command.
    return "\n".join(["#!/bin/sh", *before, f"exec /usr/bin/env {command}", ""]).encode()
