"""Reads the files in which tools list an app's packages, and checks that each has the shape that its readers expect."""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from host import utf8
from host.packages import markers
from host.packages.dependency import need_of

LOCK, PROJECT, PIPFILE = "uv.lock", "pyproject.toml", "Pipfile"
POETRY_LOCK, PDM_LOCK, PYLOCK, PIPFILE_LOCK = "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"
# The commands that write the locks.
COMMANDS = {
    LOCK: "uv lock",
    POETRY_LOCK: "poetry lock",
    PDM_LOCK: "pdm lock",
    PIPFILE_LOCK: "pipenv lock",
    PYLOCK: "uv export --format pylock.toml --output-file pylock.toml",
}
Table = dict[str, Any]
_CONFLICT = re.compile(r"^(?:<{7}|>{7})(?: .*)?$", re.MULTILINE)


def load(name: str, content: bytes) -> dict[str, Any]:
    """The content of the file ``name``: Pipfile.lock is JSON, the others are TOML.

    Raises ValueError with the file, the place in it, the rule and the remedy if it can't be read or has another shape.
    """
    base = posixpath.basename(name)
    remedy = f"write it again with `{COMMANDS[base]}`" if base in COMMANDS else "correct it"
    text = utf8.decode(name, content, "utf-8-sig")
    if mistake := conflict(name, text):
        raise ValueError(mistake)
    try:
        document: object = json.loads(text) if base == PIPFILE_LOCK else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} can't be read: {error}; {remedy}") from None
    if mistake := _mistake(document, _SHAPES.get(base, {}), ""):
        raise ValueError(f"{name} can't be read: {mistake}; {remedy}")
    return cast(dict[str, Any], document)


def conflict(name: str, text: str) -> str:
    """A sentence about the first mark of a merge conflict in the text of the file ``name``; empty if it has none."""
    match = _CONFLICT.search(text.replace("\r", ""))
    if match is None:
        return ""
    line = text.replace("\r", "").count("\n", 0, match.start()) + 1
    command = COMMANDS.get(posixpath.basename(name))
    again = f", or write the file again with `{command}`" if command else ""
    return (
        f"{name}, line {line}: {match[0]!r} is left over from a merge conflict: keep one of the two versions, and"
        f" delete the lines that begin with <<<<<<<, ======= and >>>>>>>{again}"
    )


# A shape is str, a list with the shape of its items, a table with the shapes of its values, a tuple of alternatives, or
# a function that returns the mistake. In a table, "*" is any key, and a key with "!" must be there.
Shape = Any
_RULES: dict[type[object], str] = {str: "a text", list: "a list", dict: "a table"}


def _mistake(value: object, shape: Shape, place: str) -> str:
    """What is wrong at the first place that has another shape; empty if all fit. ``place`` is empty for the file."""
    if isinstance(shape, tuple):
        alternatives = cast(tuple[Shape, ...], shape)
        fitting = [each for each in alternatives if isinstance(value, _kind(each))]
        return _mistake(value, fitting[0], place) if fitting else _other_type(value, alternatives, place)
    if callable(shape) and shape is not str:
        return cast(Callable[[object, str], str], shape)(value, place)
    if not isinstance(value, _kind(shape)):
        return _other_type(value, (shape,), place)
    if isinstance(shape, list):
        items = enumerate(cast(list[object], value))
        mistakes = (_mistake(item, shape[0], f"{place}[{index}]") for index, item in items)
    elif isinstance(shape, dict):
        mistakes = _in_table(
            cast(dict[str, object], value), cast(dict[str, Shape], shape), f"{place}." if place else ""
        )
    else:
        return ""
    return next(filter(None, mistakes), "")


def _in_table(table: Mapping[str, object], shapes: Mapping[str, Shape], prefix: str) -> Iterator[str]:
    known = {key.removesuffix("!"): shape for key, shape in shapes.items()}
    for key in shapes:
        if key.endswith("!") and key[:-1] not in table:
            yield f"{prefix}{key[:-1]} is missing"
    for key, value in table.items():
        if (shape := known.get(key, known.get("*"))) is not None:
            yield _mistake(value, shape, f"{prefix}{key}")


def _kind(shape: Shape) -> type[object]:
    return str if shape is str else dict if isinstance(shape, dict) else list


def _other_type(value: object, shapes: tuple[Shape, ...], place: str) -> str:
    rule = " or ".join(_RULES[_kind(shape)] for shape in shapes)
    found = _RULES[dict] if isinstance(value, dict) else _RULES[list] if isinstance(value, list) else repr(value)[:60]
    return f"{place or 'the file'} must be {rule}, but is {found}"


def _dependency(value: object, place: str) -> str:
    if mistake := _mistake(value, str, place):
        return mistake
    try:
        need_of(cast(str, value))
    except ValueError:
        return f"{place} must be a dependency such as flask>=3, but is {value!r}"
    return ""


def _with_commit(shape: dict[str, Shape], key: str) -> Callable[[object, str], str]:
    """A table with the commit under ``key`` if it is about a git repository."""

    def check(value: object, place: str) -> str:
        if mistake := _mistake(value, shape, place):
            return mistake
        table = cast(dict[str, Any], value)
        is_git = "git" in table or table.get("type") == "git"
        return f"{place}.{key}, the commit of the git repository, is missing" if is_git and not table.get(key) else ""

    return check


def _texts(*keys: str) -> dict[str, Shape]:
    return dict.fromkeys(keys, str)


_FILES: Shape = [{"hash!": str}]
_OF_POETRY = _texts("version", "markers", "platform", "python", *markers.VARIABLES) | {"extras": [str]}
_DEPENDENCIES = {"*": (str, _OF_POETRY, [(str, _OF_POETRY)])}
_PYTHON = _texts("python_version", "python_full_version")
_SHAPES: dict[str, Shape] = {
    PROJECT: {
        "project": {**_texts("name", "requires-python"), "dependencies": [_dependency], "dynamic": [str]},
        "tool": {
            "poetry": {"dependencies": _DEPENDENCIES, "group": {"main": {"dependencies": _DEPENDENCIES}}},
            "uv": {"workspace": {"members": [str], "exclude": [str]}},
            "pdm": {},
        },
    },
    PIPFILE: {"packages": _DEPENDENCIES, "requires": _PYTHON},
    PIPFILE_LOCK: {
        "_meta": {"sources": [_texts("name!", "url!")], "requires": _PYTHON},
        "default": {
            "*": _with_commit(
                _texts("version", "markers", "path", "file", "git", "ref", "subdirectory", "index") | {"hashes": [str]},
                "ref",
            )
        },
    },
    LOCK: {"package": [{**_texts("name!", "version"), "source": {"*": str}, "dependencies": [{"name!": str}]}]},
    POETRY_LOCK: {
        "package": [
            {
                **_texts("name!", "version!"),
                "groups": [str],
                "markers": (str, {"*": str}),
                "dependencies": _DEPENDENCIES,
                "extras": {"*": [str]},
                "source": _with_commit(
                    _texts("type", "url", "resolved_reference", "subdirectory"), "resolved_reference"
                ),
                "files": _FILES,
            }
        ],
        "metadata": {"files": {"*": _FILES}, "hashes": {"*": [str]}},
    },
    PDM_LOCK: {
        "package": [
            _with_commit(
                {
                    **_texts("name!", "version!", "marker", "git", "revision", "subdirectory", "path", "url"),
                    **{"groups": [str], "extras": [str], "dependencies": [str], "files": _FILES},
                },
                "revision",
            )
        ],
        "metadata": {"files": {"*": _FILES}},
    },
    PYLOCK: {
        "packages": [{**_texts("name!", "version", "marker"), "archive": {}, "sdist": {}, "wheels": [{}]}],
        "requires-python": str,
    },
}
