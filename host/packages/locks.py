"""Locks of tools other than uv: what they install, and whether a lock fits the app's own dependencies.

Gantry reads them itself. The tools' own exporters would need some forty packages on each server, and couldn't refuse a
lock before a server is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from host.packages import locked, pdm_lock, pipfile_lock, poetry_lock, requirements, versions
from host.packages.dependency import need_of
from host.packages.lock_graph import Need
from host.packages.locked import normalized
from host.packages.project_files import load
from host.packages.requirements import (
    LOCK,
    LOCK_COMMANDS,
    PDM_LOCK,
    PIPFILE,
    PIPFILE_LOCK,
    POETRY_LOCK,
    PROJECT,
    PYLOCK,
    WORKSPACE_LOCK,
    Read,
    shown,
)

# The locks that uv can't read. Their packages are written as a requirements file.
CONVERTED = (POETRY_LOCK, PDM_LOCK, PIPFILE_LOCK)


def as_requirements(read: Read, source: str, environment: Mapping[str, str]) -> str:
    """The packages that a lock of ``CONVERTED`` installs in this environment, as the text of a requirements file.

    Raises ValueError if the lock can't be read, or lacks a package.
    """
    document = load(source, read(source) or b"")
    try:
        reader = {POETRY_LOCK: poetry_lock, PDM_LOCK: pdm_lock, PIPFILE_LOCK: pipfile_lock}[source]
        packages = reader.packages(document, own_needs(read, source), environment)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{source} can't be read ({type(error).__name__}: {error}): write it again with `{LOCK_COMMANDS[source]}`"
        ) from None
    return locked.text(packages)


def own_needs(read: Read, source: str) -> list[Need]:
    """The dependencies that the app itself declares for the lock ``source``."""
    if source == PIPFILE_LOCK:
        return poetry_lock.own_needs(load(PIPFILE, read(PIPFILE) or b"").get("packages", {}))
    needs = [need_of(text) for text in requirements.project(read).get("dependencies", ())]
    if source == POETRY_LOCK:
        needs += poetry_lock.own_needs(requirements.table(read, "tool", "poetry", "dependencies"))
    return needs


def check(read: Read, source: str) -> None:
    """Raise ValueError with the command that locks again if the lock doesn't fit the app's own dependencies.

    It compares names and versions. So a lock that differs only in its own digest is accepted.
    """
    if source not in LOCK_COMMANDS or source == PYLOCK:
        return
    locked_versions = dict[str, list[str]]()
    for name, version in _versions(read(source) or b"", source):
        locked_versions.setdefault(normalized(name), []).append(version)
    faults = [fault for need in own_needs(read, source) if (fault := _fault(need, locked_versions, read))]
    if faults:
        file = PIPFILE if source == PIPFILE_LOCK else PROJECT
        raise ValueError(
            f"{shown(source)} doesn't fit {file}: {'; '.join(faults)}. Lock again with `{LOCK_COMMANDS[source]}`, and"
            f" commit {shown(source)}"
        )


def versions_of(package: str, read: Read, source: str) -> list[str]:
    """The versions of a package in a lock; '' stands for an unknown one. Empty if the source isn't a lock."""
    if source not in LOCK_COMMANDS:
        return []
    return [version for name, version in _versions(read(source) or b"", source) if normalized(name) == package]


def _fault(need: Need, locked_versions: Mapping[str, list[str]], read: Read) -> str:
    """The fault of a dependency in a lock; empty if it fits. ``locked_versions`` are the lock's, by name."""
    # With a marker, the package may not be for this platform. Then some tools leave it out.
    if need.marker or need.python:
        return ""
    own_versions = locked_versions.get(normalized(need.name))
    if own_versions is None:
        return f"it lacks {need.name}"
    overridden = any(
        "overrid" in key for tool in ("uv", "pdm") for key in _keys(requirements.table(read, "tool", tool))
    )
    fits = [versions.satisfies(need.constraint, version) for version in own_versions]
    if overridden or any(fit is not False for fit in fits):
        return ""
    return f"it has {need.name} {' and '.join(own_versions)} instead of {need.constraint}"


def _keys(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        yield key
        if isinstance(value, dict):
            yield from _keys(value)  # pyright: ignore[reportUnknownArgumentType]


def _versions(content: bytes, source: str) -> Iterator[tuple[str, str]]:
    """Names and versions of a lock's packages. A package that isn't from a registry has the version ''."""
    if source == PIPFILE_LOCK:
        for name, entry in load(source, content).get("default", {}).items():
            yield name, entry.get("version", "").removeprefix("==")
        return
    for entry in load(source, content).get("packages" if source == PYLOCK else "package", []):
        is_elsewhere = source in (LOCK, WORKSPACE_LOCK) and entry.get("source", {}).get("registry") is None
        yield entry["name"], "" if is_elsewhere else entry.get("version", "")
