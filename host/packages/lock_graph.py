"""Finds the packages of a lock that an app needs, if the lock says only what each package needs.

Newer locks name the groups and the marker of each package. Older ones have to be followed from the app's own
dependencies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from host.packages import markers, versions
from host.packages.locked import normalized

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Need:
    """A dependency: a name, the extras that are wanted with it, and a constraint on the version.

    It counts only if its marker is true, and if the version of Python fits the constraint ``python``.
    """

    name: str
    extras: tuple[str, ...] = ()
    constraint: str = ""
    marker: str = ""
    python: str = ""

    def counts(self, environment: Mapping[str, str], extras: Collection[str] = ()) -> bool:
        """Whether the dependency counts, for a package that is wanted with these extras."""
        fits = versions.satisfies(self.python, environment["python_full_version"]) is not False
        return fits and markers.applies(self.marker, environment, extras)

    def with_marker(self, marker: str) -> Need:
        """The same dependency, which counts only if this marker is true, too."""
        both = [f"({part})" for part in (self.marker, marker) if part]
        return replace(self, marker=" and ".join(both))


@dataclass(frozen=True, kw_only=True)
class Node(Generic[T]):
    """A package of the lock, with its needs. Markers of the needs may name its extras."""

    name: str
    version: str
    needs: tuple[Need, ...]
    entry: T


def follow(
    roots: Iterable[Need], nodes: Iterable[Node[T]], environment: Mapping[str, str], *, lock: str, remedy: str
) -> list[Node[T]]:
    """The nodes that the roots need, directly or not. Raises ValueError if the lock lacks one."""
    by_name: dict[str, list[Node[T]]] = {}
    for node in nodes:
        by_name.setdefault(normalized(node.name), []).append(node)
    waiting = [need for need in roots if need.counts(environment)]
    found: dict[str, Node[T]] = {}
    followed: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        need = waiting.pop()
        name, extras = normalized(need.name), frozenset(map(normalized, need.extras))
        node = _choose(by_name.get(name, []), need)
        if node is None:
            raise ValueError(f"{lock} lacks {need.name}{need.constraint}: lock it with `{remedy}`")
        found.setdefault(name, node)
        if (name, extras) not in followed:
            followed.add((name, extras))
            waiting += [other for other in node.needs if other.counts(environment, extras)]
    return list(found.values())


def _choose(nodes: list[Node[T]], need: Need) -> Node[T] | None:
    """The node that fits. A lock may have several versions of a package, for different versions of Python."""
    fitting = [node for node in nodes if versions.satisfies(need.constraint, node.version) is not False]
    return max(fitting, key=lambda node: versions.parse(node.version) or (), default=None)
