"""The Procfile: ``name: command`` lines, as Heroku defined them."""

from __future__ import annotations

import re

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")


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
