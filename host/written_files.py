"""Finds the files that a command wrote into a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

# Names in one sentence.
SHOWN = 5
# Python writes its bytecode there whenever it can. Nobody misses it.
_CACHE = "__pycache__"

# Relative paths with times, sizes and inodes: a command can't write a file without a change of one of them.
Snapshot = Mapping[str, tuple[int, int, int]]


def snapshot(folder: Path) -> Snapshot:
    """The state of every file below the folder."""
    found: dict[str, tuple[int, int, int]] = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != _CACHE]
        for name in names:
            path = Path(parent, name)
            status = path.lstat()
            found[str(path.relative_to(folder))] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def since(before: Snapshot, folder: Path) -> list[str]:
    """The relative paths of the files that are new or changed, without Python's bytecode.

    A folder with several such files stands for them, as ``name/``.
    """
    written = [path for path, state in snapshot(folder).items() if before.get(path) != state]
    counts = Counter(_top(path) for path in written)
    return sorted({_top(path) if counts[_top(path)] > 1 else path for path in written})


def summary(written: Sequence[str]) -> str:
    """The paths in one phrase."""
    names = list(written[:SHOWN])
    if len(written) > SHOWN:
        names.append(f"{len(written) - SHOWN} more")
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _top(path: str) -> str:
    name, slash, _ = path.partition("/")
    return name + slash
