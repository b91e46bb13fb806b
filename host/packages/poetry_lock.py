"""Reads poetry.lock, in the formats of Poetry 1.0 to 2. Only the group "main" is installed, without extras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from host.packages import markers
from host.packages.lock_graph import Need, Node, follow
from host.packages.locked import Package, git_place, normalized, own_place
from host.packages.project_files import Table

REMEDY = "poetry lock"


def packages(document: Table, needs: list[Need], environment: Mapping[str, str]) -> list[Package]:
    """The packages to install from the lock's content. ``needs`` are the app's own dependencies.

    Raises ValueError if the lock lacks one.
    """
    entries: list[Table] = document.get("package", [])
    if all("groups" in entry for entry in entries):
        chosen = [entry for entry in entries if _is_main(entry, environment)]
    else:
        nodes = [
            Node(name=entry["name"], version=entry["version"], needs=tuple(_needs(entry)), entry=entry)
            for entry in entries
        ]
        chosen = [node.entry for node in follow(needs, nodes, environment, lock="poetry.lock", remedy=REMEDY)]
    return [_package(entry, document.get("metadata", {})) for entry in chosen]


def own_needs(table: Table) -> list[Need]:
    """The dependencies in ``[tool.poetry.dependencies]``, or in a Pipfile, without optional ones and Python."""
    return [
        need
        for name, value in table.items()
        if name != "python"
        for need, is_optional in _alternatives(name, value)
        if not is_optional
    ]


def sources(document: Table) -> dict[str, str]:
    """The addresses of the package registries besides the default one, by the names that pyproject.toml gives them."""
    found = [entry["source"] for entry in document.get("package", []) if "source" in entry]
    return {source["reference"]: source["url"] for source in found if source.get("type") == "legacy"}


def _is_main(entry: Table, environment: Mapping[str, str]) -> bool:
    if "main" not in entry["groups"]:
        return False
    marker = entry.get("markers", "")
    return markers.applies(marker if isinstance(marker, str) else marker.get("main", ""), environment)


def _needs(entry: Table) -> Iterator[Need]:
    for name, value in entry.get("dependencies", {}).items():
        for need, is_optional in _alternatives(name, value):
            if not is_optional or "extra" in need.marker:
                yield need
                continue
            # The oldest locks name the extra only in a list of each extra's packages.
            for extra, wanted in entry.get("extras", {}).items():
                if any(normalized(text.split()[0]) == normalized(name) for text in wanted):
                    yield need.with_marker(f'extra == "{extra}"')


def _alternatives(name: str, value: object) -> Iterator[tuple[Need, bool]]:
    """The forms of a dependency: a constraint, a table, or a list of them. With each, whether it is optional."""
    for item in cast(list[object], value) if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield Need(name=name, constraint=item), False
            continue
        table = cast(Table, item)
        clauses = [table[key] for key in ("markers",) if table.get(key)]
        clauses += [f'sys_platform == "{table["platform"]}"'] if table.get("platform") else []
        clauses += [f"{variable} {table[variable]}" for variable in markers.VARIABLES if table.get(variable)]
        need = Need(
            name=name,
            extras=tuple(table.get("extras", ())),
            constraint=table.get("version", ""),
            marker=" and ".join(f"({clause})" for clause in clauses),
            python=table.get("python", ""),
        )
        yield need, table.get("optional") is True


def _package(entry: Table, metadata: Table) -> Package:
    name, source = entry["name"], entry.get("source", {})
    kind, url = source.get("type", ""), source.get("url", "")
    place = ""
    if kind == "git":
        place = git_place(url, source["resolved_reference"], source.get("subdirectory", ""))
    elif kind == "url":
        place = url
    elif kind in ("file", "directory"):
        place = own_place(url)
    return Package(
        name=name,
        version=entry["version"],
        place=place,
        hashes=() if kind in ("git", "directory") else tuple(_hashes(entry, metadata)),
        index=url if kind == "legacy" else "",
    )


def _hashes(entry: Table, metadata: Table) -> Iterator[str]:
    """The hashes of the files, which are in the entry or, in older locks, at the end."""
    for file in entry.get("files") or metadata.get("files", {}).get(entry["name"], []):
        yield file["hash"]
    for digest in metadata.get("hashes", {}).get(entry["name"], []):
        yield f"sha256:{digest}"
