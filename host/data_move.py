"""Copies the app's data to a volume, and compares the copy with the original."""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from host import files
from host.errors import ReleaseError

# Room for folders and for the journal of the file system.
EXTRA_BYTES = 16 * 1024**2


def size_of(folder: Path) -> int:
    """The bytes that the files below the folder take on the disk. The app may delete some of them meanwhile."""
    total = 0
    for path in _walk(folder):
        with suppress(FileNotFoundError):
            total += path.lstat().st_blocks * 512
    return total


def require_room(source: Path, target: Path) -> None:
    """Raises ReleaseError if the data doesn't fit."""
    needed, free = size_of(source) + EXTRA_BYTES, shutil.disk_usage(target).free
    if needed > free:
        raise ReleaseError(
            f"{source} has {needed / 1024**3:.2f} GB, and the volume has {free / 1024**3:.2f} GB free",
            "raise the setting with: pulumi config set storage <GB>",
        )


def copy(source: Path, target: Path) -> None:
    """Copy all of the folder ``source`` to the new folder ``target``: owners, modes, times, links and attributes.

    Afterwards it is on the disk, and equal. Raises ReleaseError otherwise.
    """
    command = ["cp", "--archive", "--no-target-directory", str(source), str(target)]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if result.returncode != 0:
        raise ReleaseError(f"the data can't be copied to the volume:\n{result.stderr.strip()}")
    sync(target)
    if difference := first_difference(source, target):
        raise ReleaseError(f"the copy on the volume differs from {source}: {difference}")


def sync(folder: Path) -> None:
    """Write the folder to the disk. Raises ReleaseError if the disk has errors."""
    try:
        files.sync(folder)
    except subprocess.CalledProcessError as error:
        raise ReleaseError(
            f"{folder} can't be written to the disk: {error}",
            "look for the disk's errors on the server with: sudo journalctl -k; then run `make up` again",
        ) from error


def first_difference(source: Path, target: Path) -> str | None:
    """The first path that differs, with the reason; None if both folders are equal."""
    originals, copies = _by_name(source), _by_name(target)
    for name in sorted({*originals, *copies}):
        if name not in copies or name not in originals:
            return f"{name} is only in {'the original' if name in originals else 'the copy'}"
        if reason := _difference(originals[name], copies[name]):
            return f"{name}: {reason}"
    return None


def _difference(original: Path, copied: Path) -> str | None:
    before, after = original.lstat(), copied.lstat()
    if before.st_mode != after.st_mode:
        return "the kind or the mode"
    if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
        return "the owner"
    if stat.S_ISLNK(before.st_mode):
        return None if original.readlink() == copied.readlink() else "the target of the link"
    if _attributes(original) != _attributes(copied):
        return "an extended attribute"
    if stat.S_ISREG(before.st_mode):
        if before.st_mtime_ns != after.st_mtime_ns:
            return "the time"
        if before.st_size != after.st_size or not filecmp.cmp(original, copied, shallow=False):
            return "the content"
    return None


def _attributes(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


def _by_name(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in _walk(folder)}


def _walk(folder: Path) -> Iterator[Path]:
    """The folder and everything below it."""
    yield folder
    for parent, names, others in os.walk(folder):
        for name in (*names, *others):
            yield Path(parent, name)
