"""What an app needs: which of its files says so, and whether this server's Python is one that it takes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any, cast

LOCK, LIST, PROJECT = "uv.lock", "requirements.txt", "pyproject.toml"
NAMES = (LOCK, LIST, PROJECT)

# The content of a file of the app by its name, or None where there is no such file.
Read = Callable[[str], bytes | None]

# Where uv finds packages, https://docs.astral.sh/uv/reference/settings/; a place without a scheme is a folder.
_PLACES = ("find-links", "url", "index-url", "extra-index-url")
_REMOTE = re.compile(r"^(?!file:)\w[\w+.-]*://")
_CLAUSE = re.compile(r"^(>=|<=|==|!=|~=|>|<)\s*(\d+(?:\.\d+)*)(\.\*)?$")


def choose(read: Read) -> str:
    """The file that says what to install: a lock beats a list, and a list for installing beats the project's own.

    Raises ValueError with the remedy where none does.
    """
    listed = project(read)
    if read(LOCK) is not None:
        if not listed:
            raise ValueError(f"{LOCK} is there without its {PROJECT} with a [project]: add it, or remove {LOCK}")
        return LOCK
    if read(LIST) is not None:
        return LIST
    if not listed:
        raise ValueError(
            f"there is no {LOCK}, no {LIST} and no {PROJECT} with a [project]: add a {LIST} that lists at least your"
            " web framework"
        )
    if "dependencies" in listed.get("dynamic", ()):
        raise ValueError(f"the dependencies in {PROJECT} are dynamic: list them there, or commit a {LOCK} or {LIST}")
    return PROJECT


def project(read: Read) -> dict[str, Any]:
    """The [project] table, empty where there is none; other tools keep their settings in that file, too."""
    return table(read, "project")


def table(read: Read, *names: str) -> dict[str, Any]:
    """A table of pyproject.toml, empty where there is none."""
    found: Any = _toml(PROJECT, read(PROJECT) or b"")
    for name in names:
        found = found.get(name, {})
    return cast(dict[str, Any], found)


def installs_own_code(read: Read) -> bool:
    """Whether packages of the app's own folder are installed: then no other release can share the environment."""
    if choose(read) != LOCK:
        return any(map(_names_a_folder, (table(read, "tool", "uv"), _toml("uv.toml", read("uv.toml") or b""))))
    packages = _toml(LOCK, read(LOCK) or b"").get("package", [])
    # The app itself is the one at ".", and isn't installed.
    return any(
        source.get(kind, ".") != "." for source in (each.get("source", {}) for each in packages)
        for kind in ("editable", "directory", "path")
    )  # fmt: skip


def check_python(read: Read, version: tuple[int, int, int]) -> None:
    """Raise ValueError when requires-python excludes the version."""
    wanted = str(project(read).get("requires-python", ""))
    clauses = [clause.strip() for clause in wanted.split(",") if clause.strip()]
    if not all(_allows(clause, version) for clause in clauses):
        has = ".".join(map(str, version))
        raise ValueError(
            f"the app requires Python {wanted} (requires-python in {PROJECT}), and this server has {has}: change"
            " requires-python, or rebuild the server with a system that has such a Python"
        )


def _allows(clause: str, version: tuple[int, int, int]) -> bool:
    """https://packaging.python.org/en/latest/specifications/version-specifiers/, for released versions of Python."""
    match = _CLAUSE.match(clause)
    if match is None:  # of another form: uv is the judge
        return True
    operator, digits, wildcard = match.groups()
    parts = tuple(map(int, digits.split(".")))
    wanted = (*parts, 0, 0)[:3]
    same = version[: len(parts)] == parts if wildcard else version == wanted
    return {
        ">=": version >= wanted,
        "<=": version <= wanted,
        ">": version > wanted,
        "<": version < wanted,
        "==": same,
        "!=": not same,
        "~=": version >= wanted and version[: len(parts) - 1] == parts[:-1],
    }[operator]


def _names_a_folder(settings: Any, key: str = "") -> bool:
    """Whether uv's settings lead to packages of the app: by a path, as a member of its workspace, or in a folder."""
    if isinstance(settings, dict):
        given = cast(dict[str, Any], settings)
        return "path" in given or given.get("workspace") is True or any(_names_a_folder(v, k) for k, v in given.items())
    if isinstance(settings, list):
        return any(_names_a_folder(value, key) for value in cast(list[Any], settings))
    return key in _PLACES and isinstance(settings, str) and _REMOTE.match(settings) is None


def _toml(name: str, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{name} can't be read: {error}") from None
