"""The Procfile: ``name: command`` lines, as Heroku defined them."""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from host import procfile_correction, utf8

# These lines aren't services: each has a meaning of its own.
RESERVED = ("web", "release", "build", "verify")
RULE = "a line is 'name: command', with a name of letters, digits, _ and -"
_NAME = re.compile("[A-Za-z0-9_-]+")
_LINE = re.compile(rf"({_NAME.pattern}):\s*(\S.*)")
_LINE_ENDS = re.compile("\r\n|\r|\n")
# UTF-32 isn't among them: no editor writes it.
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Line:
    """A process type with its command; ``number`` is that of its line, from 1."""

    number: int
    name: str
    command: str


def read(release: Path) -> dict[str, str]:
    """The commands of the unpacked release in a folder, by process type."""
    # Releases that an earlier version packed may have two lines with one name. Then the last one counts, as it did when
    # they were released.
    return {line.name: line.command for line in lines(decode((release / "Procfile").read_bytes()))}


def processes(text: str) -> dict[str, str]:
    """Commands by process type.

    Raises ValueError for a line of another form, for one after a backslash, and for two lines with one name.
    """
    by_name: dict[str, list[Line]] = {}
    found = lines(text)
    written = _written(text)
    for before, line in pairwise(found):
        # The rest of a command, such as app:app, may look like another line.
        if before.number + 1 == line.number and (reason := _continued([before], written)):
            raise ValueError(f"Procfile, line {line.number}: {written[line.number - 1]!r} is refused{reason}")
    for line in found:
        by_name.setdefault(line.name, []).append(line)
    if duplicates := [_duplicate(same) for same in by_name.values() if len(same) > 1]:
        raise ValueError("\n".join(duplicates))
    return {name: only.command for name, (only,) in by_name.items()}


def services(commands: Mapping[str, str]) -> dict[str, str]:
    """The commands that run beside web for as long as their release serves."""
    return {name: command for name, command in commands.items() if is_service(name)}


def is_service(name: str) -> bool:
    """Whether a line with that name is a service; False for a text that can't be a name."""
    return _NAME.fullmatch(name) is not None and name not in RESERVED


def lines(text: str) -> list[Line]:
    """The lines in their order, without blank ones and ``#`` comments.

    Raises ValueError with its number for a line that has another form.
    """
    found: list[Line] = []
    written = _written(text)
    for number, line in enumerate(written, start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(
                f"Procfile, line {number}: {line!r} has another form: {RULE}{_remedy(number, found, written)}"
            )
        found.append(Line(number, match[1], match[2]))
    return found


def _written(text: str) -> list[str]:
    """All lines, without the white space around them."""
    # str.splitlines would also split at form feeds and other characters, which editors don't count as line ends.
    return list(map(str.strip, _LINE_ENDS.split(text)))


def decode(content: bytes) -> str:
    """The text of a Procfile in UTF-8, or in UTF-16 with a byte order mark.

    Raises ValueError with the line of the first byte that is in another encoding.
    """
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
    text = utf8.decode("Procfile", content, encoding)
    if "\0" in text:
        raise ValueError("Procfile: it has bytes of value 0, as UTF-16 without its mark has: save the file as UTF-8")
    return text


def _remedy(number: int, before: list[Line], written: list[str]) -> str:
    """What to write in place of the line with that number, after what separates it from the rule; or ""."""
    if continued := _continued(before, written):
        return continued
    is_next = bool(before) and before[-1].number + 1 == number
    remedy = procfile_correction.correction(written[number - 1], written[number - 2] if is_next else None)
    return f"; {remedy}" if remedy else ""


def _continued(before: list[Line], written: list[str]) -> str:
    """If the line before ends with a backslash: the reason, and all that belongs to it as one line."""
    if not (before and before[-1].command.endswith("\\")):
        return ""
    first = before[-1].number
    parts: list[str] = []
    for line in written[first - 1 :]:
        parts.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            break
    joined = " ".join(filter(None, parts))
    return f" (line {first} ends with a backslash, but a command must be in one line). Write: {joined}"


def _duplicate(same: list[Line]) -> str:
    """The sentence for all lines that have one name, with the remedy."""
    name, last = same[0].name, same[-1]
    remedy = f"delete all but one, or give each another name, such as {name}2 for line {last.number}"
    if name in RESERVED:
        remedy = f"join them to '{name}: {' && '.join(line.command for line in same)}', or delete all but one"
    if name == "web":
        remedy = "delete all but one"
    numbers = f"{', '.join(str(line.number) for line in same[:-1])} and {last.number}"
    shown = "".join(f"  line {line.number}: {name}: {line.command}\n" for line in same)
    return f"Procfile: lines {numbers} have the same name, and only one of them could run\n{shown}{remedy}"


def script(command: str, *before: str) -> bytes:
    """A script that runs the lines ``before`` and then ``command``, by bash as on other platforms."""
    # bash replaces itself by the last simple command of -c. So systemd's signals reach the program itself.
    return "\n".join(["#!/bin/sh", *before, f"exec /bin/bash -c {shlex.quote(command)}", ""]).encode()
