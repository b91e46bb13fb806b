"""Reads Pipfile.lock. Its section "default" has the packages that the app needs while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from host.packages import markers
from host.packages.locked import Package, git_place, own_place

# Pipenv writes this name for the public registry. Servers use their own index for it.
_DEFAULT_SOURCE = "pypi"


def packages(document: dict[str, Any], environment: Mapping[str, str]) -> list[Package]:
    """The packages to install from the lock's content; raises ValueError for an entry that can't be installed."""
    sources = {source["name"]: source["url"] for source in document.get("_meta", {}).get("sources", [])}
    entries: dict[str, dict[str, Any]] = document.get("default", {})
    # "." is the app itself, whose folder is on Python's path.
    return [
        _package(name, entry, sources)
        for name, entry in entries.items()
        if entry.get("path") != "." and markers.applies(entry.get("markers", ""), environment)
    ]


def _package(name: str, entry: dict[str, Any], sources: Mapping[str, str]) -> Package:
    place = ""
    if "git" in entry:
        place = git_place(entry["git"], entry["ref"], entry.get("subdirectory", ""))
    elif "path" in entry:
        place = own_place(entry["path"])
    elif "file" in entry:
        place = entry["file"] if "://" in entry["file"] else own_place(entry["file"])
    version: str = entry.get("version", "")
    if not place and not version.startswith("=="):
        raise ValueError(f"Pipfile.lock has no version of {name} for this server: lock it with `pipenv lock`")
    index = entry.get("index", _DEFAULT_SOURCE)
    return Package(
        name=name,
        version=version.removeprefix("=="),
        place=place,
        hashes=() if place else tuple(entry.get("hashes", ())),
        index="" if place or index == _DEFAULT_SOURCE else sources.get(index, ""),
    )
