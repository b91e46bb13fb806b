"""The digests by which Poetry and Pipenv know whether a lock was made from the project file that the app has now.

``locks.check`` refuses a lock that lacks what the app needs. A digest also shows changes that don't matter on a server,
such as those of development groups. So a lock with another digest is installed, and a note says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from host.packages.project_files import COMMANDS, PIPFILE, PIPFILE_LOCK, POETRY_LOCK, PROJECT, load
from host.packages.requirements import Read

# What Poetry takes from [tool.poetry] even if it isn't there, and what it takes from [project].
_OF_POETRY = ("dependencies", "source", "extras", "dev-dependencies")
_OF_PROJECT = ("requires-python", "dependencies", "optional-dependencies")
# The tables of a Pipfile that aren't further categories of packages.
_OF_PIPFILE = ("source", "packages", "dev-packages", "requires", "scripts", "pipfile", "pipenv", "default", "develop")


def note(read: Read, source: str) -> str:
    """A sentence if the lock was made from another project file; empty if it wasn't, or if that can't be known."""
    if source not in (POETRY_LOCK, PIPFILE_LOCK):
        return ""
    lock = load(source, read(source) or b"")
    file = PROJECT if source == POETRY_LOCK else PIPFILE
    content = read(file)
    metadata = lock.get("metadata", {}) if source == POETRY_LOCK else lock.get("_meta", {}).get("hash", {})
    digest = metadata.get("content-hash" if source == POETRY_LOCK else "sha256")
    if content is None or not digest:
        return ""
    document = load(file, content)
    contents = _of_poetry(document) if source == POETRY_LOCK else _of_pipfile(document, lock)
    separators = None if source == POETRY_LOCK else (",", ":")
    texts = (json.dumps(content, sort_keys=True, separators=separators, default=str) for content in contents)
    if any(hashlib.sha256(text.encode()).hexdigest() == digest for text in texts):
        return ""
    return (
        f"{file} has changed since {source} was written, and servers install what {source} names: lock again with"
        f" `{COMMANDS[source]}`, and commit {source}"
    )


def _of_poetry(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The contents that Poetry's digest covers: in the newest version, and before 2.3, without the groups."""
    tool = document.get("tool", {}).get("poetry", {})
    project = {key: document.get("project", {})[key] for key in _OF_PROJECT if key in document.get("project", {})}
    without_groups: dict[str, Any] = {}
    for groups in (document.get("dependency-groups", {}), without_groups):
        is_legacy = not (project or groups)
        keys = [key for key in (*_OF_POETRY, "group") if key in tool or (is_legacy and key in _OF_POETRY)]
        own = {key: tool.get(key) for key in keys}
        others = {**({"project": project} if project else {}), **({"dependency-groups": groups} if groups else {})}
        yield {**others, "tool": {"poetry": own}} if others else own


def _of_pipfile(document: dict[str, Any], lock: dict[str, Any]) -> Iterator[dict[str, Any]]:
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
