"""Reads from Pulumi.<stack>.yaml what Pulumi doesn't tell the program.

The engine's YAML reader turns values of ``env`` into others, such as 007 into 7. The file still has what was typed,
until the engine writes it. Of a map with a secret, the program doesn't learn which of its values is the secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import yaml

# How the engine writes a date that stands in the file without quotes.
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4} \S+")
_BASES = {"0x": 16, "0o": 8, "0b": 2, "0": 8}


def changed(file: Path, project: str, env: Mapping[str, object]) -> Iterator[str]:
    """The names of the variables whose values aren't what was typed into the stack's file."""
    suspects = {name: value for name, value in env.items() if isinstance(value, bool | int) or _is_date(value)}
    typed = dict(_plain_values(file, project)) if suspects else {}
    for name, value in suspects.items():
        # Another file may have been used, whose values have nothing to do with this one.
        if name in typed and _is_another(typed[name], value):
            yield name


def has_plain(file: Path, project: str, key: str, name: str, value: str) -> bool:
    """Whether the file has this ``value`` in plain text, as the entry ``name`` of the map ``key``."""
    entries = _map(file, project, key)
    return any(entry == name and isinstance(node, yaml.ScalarNode) and node.value == value for entry, node in entries)


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
    """The values of env that have no quotes, by name, as they are in the file."""
    yield from ((name, node.value) for name, node in _map(file, project, "env") if _is_plain(node))


def _map(file: Path, project: str, key: str) -> Iterator[tuple[str, yaml.Node]]:
    """The entries of a setting that is a map."""
    if not file.is_file():
        return
    with suppress(yaml.YAMLError):  # the stack may have another file: the engine has read that one
        document = yaml.SafeLoader(file.read_text(errors="replace")).get_single_node()
        for _, config in _entries(document, "config"):
            for _, node in _entries(config, f"{project}:{key}", key):
                yield from _entries(node)


def _entries(node: yaml.Node | None, *names: str) -> Iterator[tuple[str, yaml.Node]]:
    """The entries of a mapping, or those with one of the names; none if it isn't a mapping."""
    if isinstance(node, yaml.MappingNode):
        yield from ((key.value, value) for key, value in node.value if not names or key.value in names)


def _is_plain(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None
