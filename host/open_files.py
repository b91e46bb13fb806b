"""The files that processes have open."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from host.paths import Paths


def everyones(paths: Paths) -> set[str]:
    """The paths of the files that any process has open. A process that ends meanwhile is left out."""
    found: set[str] = set()
    for process in paths.processes_now.glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            found |= of(process)
    return found


def of(process: Path) -> frozenset[str]:
    """The paths of the files that a process has open; ``process`` is the kernel's folder for it."""
    found: set[str] = set()
    for descriptor in (process / "fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return frozenset(found)
