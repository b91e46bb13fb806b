"""Reads Pipfile.lock. Its section "default" has the packages that the app needs while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from host.packages import markers
from host.packages.lock_graph import Need
from host.packages.locked import Package, git_place, normalized, own_place

# The places of the app itself, whose folder is on Python's path.
_APP = {".", "./"}
# Pipenv writes this name for the public registry. Servers use their own index for it.
_DEFAULT_SOURCE = "pypi"


def packages(document: dict[str, Any], needs: list[Need], environment: Mapping[str, str]) -> list[Package]:
    """The packages to install from the lock's content. ``needs`` are the app's own dependencies.

    Pipenv locks for the computer that it runs on. A package that only other systems need gets no version, and
    sometimes no marker, either. Then the marker of the Pipfile counts, and the version is left open as Pipenv does.
    """
    elsewhere = {normalized(need.name) for need in needs if not need.counts(environment)}
    sources = {source["name"]: source["url"] for source in document.get("_meta", {}).get("sources", [])}
    entries: dict[str, dict[str, Any]] = document.get("default", {})
    return [
        _package(name, entry, sources)
        for name, entry in entries.items()
        if _APP.isdisjoint((entry.get("path"), entry.get("file")))
        and markers.applies(entry.get("markers", ""), environment)
        and (_is_exact(entry) or normalized(name) not in elsewhere)
    ]


def _package(name: str, entry: dict[str, Any], sources: Mapping[str, str]) -> Package:
    place = ""
    if "git" in entry:
        place = git_place(entry["git"], entry["ref"], entry.get("subdirectory", ""))
    elif "path" in entry:
        place = own_place(entry["path"])
    elif "file" in entry:
        place = entry["file"] if "://" in entry["file"] else own_place(entry["file"])
    index = entry.get("index", _DEFAULT_SOURCE)
    return Package(
        name=name,
        version=entry["version"].removeprefix("==") if _is_exact(entry) else "",
        place=place,
        hashes=() if place else tuple(entry.get("hashes", ())),
        index="" if place or index == _DEFAULT_SOURCE else sources.get(index, ""),
    )


def _is_exact(entry: Mapping[str, Any]) -> bool:
    return entry.get("version", "").startswith("==")
