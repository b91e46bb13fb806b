"""The Procfile: ``name: command`` lines, as Heroku defined them."""

from __future__ import annotations

import re
from pathlib import Path

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")
# Anywhere in the command, because tracers and profilers wrap it. The command may lack an app: gunicorn.conf.py can name
# it.
_GUNICORN = re.compile(r"(^|[\s/])gunicorn(\s|$)")


def read(release: Path) -> dict[str, str]:
    """The processes of the unpacked release in a folder."""
    return processes((release / "Procfile").read_text("utf-8-sig"))


def processes(text: str) -> dict[str, str]:
    """Commands by process type. Blank lines and ``#`` comments are ignored.

    Raises ValueError with the line if a line has another form.
    """
    commands: dict[str, str] = {}
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise ValueError(f"Procfile: {line!r} is not of the form 'name: command'")
        commands[match[1]] = match[2].strip()
    return commands


def is_gunicorn(command: str) -> bool:
    """Whether a web command starts Gunicorn, which gets the address to listen on from its settings."""
    return _GUNICORN.search(command) is not None


def script(command: str, *before: str) -> bytes:
    """A shell script that runs the lines ``before`` and then replaces itself by ``command``."""
    # exec: systemd's signals must reach the command itself, not a shell. env: assignments may precede the command.
    return "\n".join(["#!/bin/sh", *before, f"exec /usr/bin/env {command}", ""]).encode()
