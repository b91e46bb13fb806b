"""The folders of the local target's records and images, and the locks that guard them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")

STATE = Path(os.environ.get("GANTRY_STATE_DIR", "/var/lib/gantry"))
CACHE = Path(os.environ.get("GANTRY_CACHE_DIR", "/var/cache/gantry"))
MACHINES, NETWORKS, IMAGES = STATE / "machines", STATE / "networks", CACHE / "images"
VOLUMES = STATE / "volumes"
# A folder with this prefix is being removed.
_DOOMED = ".doomed-"


@contextmanager
def lock(folder: Path = STATE, *, create: bool = True) -> Generator[None]:
    """Locks ``folder`` against other processes. The lock is on the folder itself, so no lock file is left behind.

    A missing folder is created. Without ``create`` it stays missing, and nothing is locked.
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
            # While this process waited, the folder may have been removed and created again.
            if _is_same(handle, folder):
                yield
                return
        finally:
            os.close(handle)


def _is_same(handle: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Replaces the file in one step: a reader sees the old document or the new one."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    new.replace(path)


def read_record(path: Path, type_: type[R]) -> R | None:
    """The record in a file; None if there is no such file.

    A newer Gantry in another folder of this computer may have written more fields. They are ignored.
    """
    document = read_json(path)
    known = {field.name for field in fields(type_)}
    return type_(**{key: value for key, value in document.items() if key in known}) if document else None


def read_json(path: Path) -> dict[str, Any] | None:
    """The document, or None if there is no such file."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove_tree(folder: Path) -> None:
    """Removes a folder. It is renamed first, so a killed removal leaves no incomplete folder of that name."""
    if not folder.exists():
        return
    doomed = folder.with_name(f"{_DOOMED}{folder.name}")
    _remove(doomed)
    folder.rename(doomed)
    _remove(doomed)


def names_being_removed(parent: Path) -> list[str]:
    """The names of the folders in ``parent`` whose removal isn't complete."""
    return [doomed.name.removeprefix(_DOOMED) for doomed in parent.glob(f"{_DOOMED}*")]


def sweep(parent: Path) -> None:
    """Completes removals that were killed."""
    for doomed in parent.glob(f"{_DOOMED}*"):
        _remove(doomed)


def _remove(folder: Path) -> None:
    # Another process may remove the same folder at the same time, so entries can disappear meanwhile.
    for _ in range(5):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
    shutil.rmtree(folder)


def remove_empty_folders() -> None:
    """Removes the folders after the last machine, network and volume. The caller holds the lock of STATE."""
    for folder in (MACHINES, NETWORKS, VOLUMES, STATE):
        with suppress(OSError):
            folder.rmdir()
