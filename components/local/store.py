"""Where the local target keeps its records, and the locks that guard them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

STATE = Path(os.environ.get("GANTRY_STATE_DIR", "/var/lib/gantry"))
CACHE = Path(os.environ.get("GANTRY_CACHE_DIR", "/var/cache/gantry"))
MACHINES, NETWORKS, IMAGES = STATE / "machines", STATE / "networks", CACHE / "images"
_DOOMED = ".doomed-"


@contextmanager
def lock(folder: Path = STATE, *, create: bool = True) -> Generator[None]:
    """Holds `folder` against other processes; the folder is its own lock, so no lock file is left behind.

    Where it isn't there (any more) and `create` is false, there is nothing to hold.
    """
    while True:
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        elif not folder.is_dir():
            yield
            return
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Whoever held it before may have removed the folder, and another may have made it anew.
            if _same(handle, folder):
                yield
                return
        finally:
            os.close(handle)


def _same(handle: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Replaces the file in one step: a reader sees the old document or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    fresh.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove_tree(folder: Path) -> None:
    """Removes a folder so that one killed half-way is never taken for whole."""
    if not folder.exists():
        return
    doomed = folder.with_name(f"{_DOOMED}{folder.name}")
    _remove(doomed)
    folder.rename(doomed)
    _remove(doomed)


def sweep(parent: Path) -> None:
    """Finishes removals that were killed half-way."""
    for doomed in parent.glob(f"{_DOOMED}*"):
        _remove(doomed)


def _remove(folder: Path) -> None:
    # Another process may be removing the same folder: then entries vanish under this one.
    for _ in range(5):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
    shutil.rmtree(folder)


def remove_empty_folders() -> None:
    """After the last machine and network, nothing is left; the caller holds the lock of STATE."""
    for folder in (MACHINES, NETWORKS, STATE):
        with suppress(OSError):
            folder.rmdir()
