"""Values of ``env`` in Pulumi.<stack>.yaml that the engine's YAML reader turns into others, such as 007 into 7.

The program gets only what the reader made of them. The file still has what was typed, until the engine writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

# How the engine writes a date that stands in the file without quotes.
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4} \S+")
_ENTRY = re.compile(r"(?P<indent> +)['\"]?(?P<name>\w+)['\"]?:[ \t]+(?P<plain>[^\s'\"#&*|>{\[][^#\n]*?)[ \t]*(?: #.*)?")
_BASES = {"0x": 16, "0o": 8, "0b": 2, "0": 8}


def changed(file: Path, project: str, env: Mapping[str, object]) -> Iterator[str]:
    """The names of the variables whose values aren't what was typed into the stack's file."""
    suspects = {name: value for name, value in env.items() if isinstance(value, bool | int) or _is_date(value)}
    typed = dict(_plain_values(file, project)) if suspects else {}
    for name, value in suspects.items():
        # Another file may have been used, whose values have nothing to do with this one.
        if name in typed and _is_another(typed[name], value):
            yield name


def _is_date(value: object) -> bool:
    return isinstance(value, str) and _DATE.fullmatch(value) is not None


def _is_another(typed: str, value: object) -> bool:
    """Whether the value was made of what was typed, and looks different."""
    if isinstance(value, bool):
        return typed.lower() == str(value).lower() and typed != str(value).lower()
    if isinstance(value, int):
        return typed != str(value) and value in _readings(typed)
    # The engine may have written the file since then.
    return typed[:10] == str(value)[:10]


def _readings(typed: str) -> set[int]:
    """The numbers that a reader of YAML may see in a text."""
    sign, digits = (-1, typed[1:]) if typed.startswith("-") else (1, typed.removeprefix("+"))
    digits, readings = digits.replace("_", "").lower(), set[int]()
    for prefix, base in (*_BASES.items(), ("", 10)):
        with suppress(ValueError):
            readings |= {sign * int(digits.removeprefix(prefix), base)} if digits.startswith(prefix) else set[int]()
    return readings


def _plain_values(file: Path, project: str) -> Iterator[tuple[str, str]]:
    """The values of env without quotes, by name. The file is block style, as the engine writes it."""
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    depth: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if re.fullmatch(rf" +['\"]?(?:{re.escape(project)}:)?env['\"]?:\s*(?:#.*)?", line):
            depth = indent
        elif depth is not None and line.strip() and not line.lstrip().startswith("#"):
            if indent <= depth:
                return
            if match := _ENTRY.fullmatch(line):
                yield match["name"], match["plain"]
