"""JSON, TOML and YAML files of other platforms. Their authors may have written anything into them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any, cast

import yaml


def read(contents: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """The table in the file ``name``; empty if the file isn't there, can't be read or holds something else."""
    content = contents.get(name, b"")
    try:
        if name.endswith(".json"):
            return table(json.loads(content))
        if name.endswith(".toml"):
            return table(tomllib.loads(content.decode("utf-8-sig")))
        # All values are texts: a date or a number in a command needs no type.
        return table(yaml.load(content, Loader=yaml.BaseLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}


def table(value: object) -> dict[str, Any]:
    """The value, or an empty table in place of a value of another type."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """The items of a list; none for a value of another type."""
    return cast(list[object], value) if isinstance(value, list) else []


def one_line(value: object) -> str:
    """The command in a text, whose lines run one after the other; empty for a value of another type."""
    return " && ".join(filter(None, map(str.strip, value.splitlines()))) if isinstance(value, str) else ""
