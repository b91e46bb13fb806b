"""An app's requirements: the file that lists its packages, and the versions of Python that it supports."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any, cast

LOCK, LIST, PROJECT = "uv.lock", "requirements.txt", "pyproject.toml"
NAMES = (LOCK, LIST, PROJECT)

# Returns the content of the app's file with that name, or None if there is no such file.
Read = Callable[[str], bytes | None]

# uv's settings that name sources of packages. A source without a scheme is a folder:
# https://docs.astral.sh/uv/reference/settings/
_PLACES = ("find-links", "url", "index-url", "extra-index-url")
_REMOTE = re.compile(r"^(?!file:)\w[\w+.-]*://")
_CLAUSE = re.compile(r"^(>=|<=|==|!=|~=|>|<)\s*(\d+(?:\.\d+)*)(\.\*)?$")


def choose(read: Read) -> str:
    """The file that lists the packages: uv.lock if it exists, else requirements.txt, else pyproject.toml.

    Raises ValueError with the remedy if the app has none of them.
    """
    metadata = project(read)
    if read(LOCK) is not None:
        if not metadata:
            raise ValueError(f"the app has {LOCK}, but no {PROJECT} with a [project] table: add one, or remove {LOCK}")
        return LOCK
    if read(LIST) is not None:
        return LIST
    if not metadata:
        raise ValueError(
            f"the app has no {LOCK}, no {LIST} and no {PROJECT} with a [project] table: add a {LIST} with at least your"
            " web framework"
        )
    if "dependencies" in metadata.get("dynamic", ()):
        raise ValueError(f"the dependencies in {PROJECT} are dynamic: list them there, or commit a {LOCK} or {LIST}")
    return PROJECT


def project(read: Read) -> dict[str, Any]:
    """The [project] table of pyproject.toml. It is empty if the file is missing or holds only other tools' settings."""
    return table(read, "project")


def table(read: Read, *names: str) -> dict[str, Any]:
    """A table of pyproject.toml, empty if there is none."""
    content: Any = _toml(PROJECT, read(PROJECT) or b"")
    for name in names:
        content = content.get(name, {})
    return cast(dict[str, Any], content)


def installs_own_code(read: Read) -> bool:
    """Whether packages from the app's own folder are installed. If so, no other release can share the venv."""
    if choose(read) != LOCK:
        return any(map(_names_a_folder, (table(read, "tool", "uv"), _toml("uv.toml", read("uv.toml") or b""))))
    packages = _toml(LOCK, read(LOCK) or b"").get("package", [])
    # The package at "." is the app itself, which isn't installed.
    return any(
        source.get(kind, ".") != "." for source in (package.get("source", {}) for package in packages)
        for kind in ("editable", "directory", "path")
    )  # fmt: skip


def check_python(read: Read, version: tuple[int, int, int]) -> None:
    """Raise ValueError if requires-python excludes the version."""
    required = str(project(read).get("requires-python", ""))
    clauses = [clause.strip() for clause in required.split(",") if clause.strip()]
    if not all(_allows(clause, version) for clause in clauses):
        present = ".".join(map(str, version))
        raise ValueError(
            f"the app requires Python {required} (requires-python in {PROJECT}), and this server has {present}: change"
            " requires-python, or rebuild the server with a system that has such a Python"
        )


def _allows(clause: str, version: tuple[int, int, int]) -> bool:
    """Whether a clause such as ``>=3.11`` allows a released version of Python.

    The rules: https://packaging.python.org/en/latest/specifications/version-specifiers/
    """
    match = _CLAUSE.match(clause)
    if match is None:
        # uv decides about clauses of other forms.
        return True
    operator, digits, wildcard = match.groups()
    parts = tuple(map(int, digits.split(".")))
    bound = (*parts, 0, 0)[:3]
    same = version[: len(parts)] == parts if wildcard else version == bound
    return {
        ">=": version >= bound,
        "<=": version <= bound,
        ">": version > bound,
        "<": version < bound,
        "==": same,
        "!=": not same,
        "~=": version >= bound and version[: len(parts) - 1] == parts[:-1],
    }[operator]


def _names_a_folder(settings: Any, key: str = "") -> bool:
    """Whether uv's settings name packages of the app: by a path, as a member of its workspace, or in a folder."""
    if isinstance(settings, dict):
        table = cast(dict[str, Any], settings)
        return "path" in table or table.get("workspace") is True or any(_names_a_folder(v, k) for k, v in table.items())
    if isinstance(settings, list):
        return any(_names_a_folder(value, key) for value in cast(list[Any], settings))
    return key in _PLACES and isinstance(settings, str) and _REMOTE.match(settings) is None


def _toml(name: str, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{name} can't be read: {error}") from None
