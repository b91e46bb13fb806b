"""An app's Aptfile, in the format that Heroku's buildpack reads: one system package a line."""

from __future__ import annotations

import re

from host import text_files

NAME = "Aptfile"
RULE = "the name of a Debian package, such as ffmpeg, also with a version: ffmpeg=7:7.1.1-1"
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+:~*-]+)?")
# Words of a command that installs packages.
_COMMAND = ("sudo", "apt", "apt-get", "install", "-y")


def is_package(word: str) -> bool:
    """Whether apt would read the word as the name of a package, and never as an option."""
    return _PACKAGE.fullmatch(word) is not None


def packages(content: bytes) -> list[str]:
    """The packages of an Aptfile in its order, each once. Raises ValueError with every line that can't be used."""
    found: list[str] = []
    mistakes: list[str] = []
    for number, line in enumerate(text_files.decode(NAME, content).splitlines(), 1):
        for word in line.partition("#")[0].split() if not line.strip().startswith(":") else [line.strip()]:
            if reason := _mistake(word):
                mistakes.append(f"{NAME}, line {number}: {word!r} {reason}")
            elif word not in found:
                found.append(word)
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return found


def _mistake(word: str) -> str:
    if word.startswith(":repo:"):
        return "adds a package archive, but servers install only from Debian's: leave the line out"
    if re.match(r"\w+://", word) or word.endswith(".deb"):
        return "is a file, but servers install only packages of Debian's archive: write the package's name"
    if word in _COMMAND:
        return "is part of a command: write only the names of packages, one a line"
    if word.startswith("ppa:"):
        return "is a package archive of Ubuntu, but servers install only from Debian's: leave the line out"
    return "" if is_package(word) else f"must be {RULE}"
