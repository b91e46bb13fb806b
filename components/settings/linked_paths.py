"""The settings ``linkedPaths`` and ``linkedPathsPerServer``: files and folders that the app writes to."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import cast

from components.settings.declaration import Structured
from host.packages import requirements

# Gantry reads these files of a release. A link to data of an earlier release would replace them.
_READ = ("Procfile", "app.json", "gunicorn.conf.py", "uv.toml", *requirements.NAMES)
# Characters with a meaning in a shell or on Windows. Here they would be part of a file's name.
_SPECIAL_CHARACTERS = "$*?[]{}~\\"


def paths() -> Structured[tuple[str, ...]]:
    return Structured(
        type="array", rule="a list of paths in the app's folder, such as media and db.sqlite3", read=_read
    )


def conflicts(servers: int, linked: tuple[str, ...], *, per_server: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    """The mistake that several servers would each have data of their own, unless that is confirmed."""
    if linked and servers > 1 and not per_server:
        yield (
            ("linkedPaths", "servers"),
            f"linkedPaths has {', '.join(linked)}, and each of {servers} servers would have its own files there, which"
            " the others don't see: store the data in a database or at another service, and remove it with: pulumi"
            " config rm linkedPaths; or accept it with: pulumi config set linkedPathsPerServer true",
        )


def _read(value: object) -> tuple[tuple[str, ...], list[str]]:
    if not isinstance(value, list):
        return (), ["linkedPaths must be a list; set a path with: pulumi config set --path 'linkedPaths[0]' <path>"]
    linked, mistakes = list[str](), list[str]()
    for index, item in enumerate(cast(list[object], value)):
        if rule := _broken_rule(item, linked):
            remedy = f"set it with: pulumi config set --path 'linkedPaths[{index}]' <path>"
            mistakes.append(f"linkedPaths[{index}] is {item!r}, but {rule}; {remedy}")
        else:
            path = cast(str, item)
            linked.append(posixpath.normpath(path) + "/" * path.endswith("/"))
    return tuple(linked), mistakes


def _broken_rule(item: object, before: list[str]) -> str | None:
    """The rule that a path breaks, given the valid paths before it; None if it is valid."""
    if not isinstance(item, str) or not item.strip() or not item.isprintable():
        return "must be a path in the app's folder, such as media or db.sqlite3"
    path = PurePosixPath(item)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return "must be relative to the app's folder, without .."
    if found := next((character for character in _SPECIAL_CHARACTERS if character in item), None):
        return f"'{found}' has no special meaning here: name one file or folder, with / between folders"
    if str(path) in _READ:
        return "Gantry needs this file as the release has it"
    for other in map(PurePosixPath, before):
        if path.is_relative_to(other) or other.is_relative_to(path):
            return f"{other} is linked already" if path == other else f"one of {other} and {path} contains the other"
    return None
