"""The digests by which Poetry and Pipenv know whether a lock was made from the project file that the app has now.

``locks.check`` refuses a lock that lacks what the app needs. A digest also shows changes that don't matter on a server,
such as those of development groups. So a lock with another digest is installed, and a note says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from host.packages.project_files import COMMANDS, PIPFILE, PIPFILE_LOCK, POETRY_LOCK, PROJECT, Table, load
from host.packages.requirements import Read

# What Poetry takes from [tool.poetry] even if it isn't there, and what it takes from [project].
_OF_POETRY = ("dependencies", "source", "extras", "dev-dependencies")
_OF_PROJECT = ("requires-python", "dependencies", "optional-dependencies")
# The tables of a Pipfile that aren't further categories of packages.
_OF_PIPFILE = ("source", "packages", "dev-packages", "requires", "scripts", "pipfile", "pipenv", "default", "develop")


@dataclass(frozen=True, kw_only=True)
class _Digest:
    """The digest of the project file in a tool's lock: where it is, and what it covers."""

    file: str
    # Returns the digest in the lock, or None if it has none.
    kept: Callable[[Table], str | None]
    # The contents that the digest may cover, given those of the project file and the lock.
    covered: Callable[[Table, Table], Iterator[Table]]
    # The separators of the JSON that is digested; None for Python's defaults.
    separators: tuple[str, str] | None = None

    def of(self, content: Table) -> str:
        """The hex SHA-256 of ``content`` as JSON."""
        text = json.dumps(content, sort_keys=True, separators=self.separators, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def note(read: Read, source: str) -> str:
    """A sentence if the lock was made from another project file; empty if it wasn't, or if that can't be known."""
    digest = _DIGESTS.get(source)
    content = read(digest.file) if digest else None
    if digest is None or content is None:
        return ""
    lock, document = load(source, read(source) or b""), load(digest.file, content)
    kept = digest.kept(lock)
    if not kept or any(digest.of(covered) == kept for covered in digest.covered(document, lock)):
        return ""
    return (
        f"{digest.file} has changed since {source} was written, and servers install what {source} names: lock again"
        f" with `{COMMANDS[source]}`, and commit {source}"
    )


def _of_poetry(document: Table, _: Table) -> Iterator[Table]:
    """The contents that Poetry's digest covers: in the newest version, and before 2.3, without the groups."""
    tool = document.get("tool", {}).get("poetry", {})
    project = {key: document.get("project", {})[key] for key in _OF_PROJECT if key in document.get("project", {})}
    without_groups: Table = {}
    for groups in (document.get("dependency-groups", {}), without_groups):
        is_legacy = not (project or groups)
        keys = [key for key in (*_OF_POETRY, "group") if key in tool or (is_legacy and key in _OF_POETRY)]
        own = {key: tool.get(key) for key in keys}
        others = {**({"project": project} if project else {}), **({"dependency-groups": groups} if groups else {})}
        yield {**others, "tool": {"poetry": own}} if others else own


def _of_pipfile(document: Table, lock: Table) -> Iterator[Table]:
    """The contents that Pipenv's digest covers: in the newest version, and in older ones, without other categories."""
    # For a Pipfile without a source, Pipenv takes the public registry, and writes it into the lock.
    sources = document.get("source", lock.get("_meta", {}).get("sources", []))
    content = {
        "_meta": {"sources": sources, "requires": document.get("requires", {})},
        "default": document.get("packages", {}),
        "develop": document.get("dev-packages", {}),
    }
    yield {**content, **{key: value for key, value in document.items() if key not in _OF_PIPFILE}}
    yield content


_DIGESTS = {
    POETRY_LOCK: _Digest(
        file=PROJECT, kept=lambda lock: lock.get("metadata", {}).get("content-hash"), covered=_of_poetry
    ),
    PIPFILE_LOCK: _Digest(
        file=PIPFILE,
        kept=lambda lock: lock.get("_meta", {}).get("hash", {}).get("sha256"),
        covered=_of_pipfile,
        separators=(",", ":"),
    ),
}
