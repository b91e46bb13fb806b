"""Reads pdm.lock. Only the group "default" is installed."""

from __future__ import annotations

from collections.abc import Mapping

from host.packages import markers
from host.packages.dependency import need_of
from host.packages.lock_graph import Need, Node, follow
from host.packages.locked import Package, git_place, own_place
from host.packages.project_files import Table

REMEDY = "pdm lock"


def packages(document: Table, needs: list[Need], environment: Mapping[str, str]) -> list[Package]:
    """The packages to install from the lock's content. ``needs`` are the app's own dependencies.

    Raises ValueError if the lock lacks one.
    """
    entries: list[Table] = document.get("package", [])
    if all("groups" in entry for entry in entries):
        chosen = [
            entry
            for entry in entries
            if "default" in entry["groups"] and markers.applies(entry.get("marker", ""), environment)
        ]
    else:
        nodes = [_node(name, entries) for name in sorted({(entry["name"], entry["version"]) for entry in entries})]
        chosen = [node.entry for node in follow(needs, nodes, environment, lock="pdm.lock", remedy=REMEDY)]
    files: Table = document.get("metadata", {}).get("files", {})
    # A package that is wanted with extras has an entry for itself and one for the extras.
    found = {_package(entry, files) for entry in chosen if entry.get("path") not in (".", "./")}
    return sorted(found, key=lambda package: package.name)


def _node(key: tuple[str, str], entries: list[Table]) -> Node[Table]:
    """A package with the needs of all its entries. Those of an entry for extras get the extra as their marker."""
    own = [entry for entry in entries if (entry["name"], entry["version"]) == key]
    needs: list[Need] = []
    for entry in own:
        for text in entry.get("dependencies", ()):
            need = need_of(text)
            extras = " or ".join(f'extra == "{extra}"' for extra in entry.get("extras", ()))
            needs.append(need.with_marker(extras))
    return Node(name=key[0], version=key[1], needs=tuple(needs), entry=own[0])


def _package(entry: Table, files: Table) -> Package:
    name, version = entry["name"], entry["version"]
    place = ""
    if "git" in entry:
        place = git_place(entry["git"], entry["revision"], entry.get("subdirectory", ""))
    elif "path" in entry:
        place = own_place(entry["path"])
    elif "url" in entry:
        place = entry["url"]
    # Older locks list the files at the end.
    listed = entry.get("files") or files.get(f"{name} {version}", [])
    hashes = () if "git" in entry or "path" in entry else tuple(sorted({file["hash"] for file in listed}))
    return Package(name=name, version=version, place=place, hashes=hashes)
