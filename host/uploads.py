"""The uploads of releases and host programs: whether one is complete, and the removal of those that were cut off.

An upload is cut off if the disk is full, the connection is lost, or `up` is killed. The part that arrived stays.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from host import files, open_files
from host.console import say
from host.layers.machine import LEAST_BYTES
from host.paths import Paths

# The end of the names of uploads that are renamed when they are complete.
PARTIAL = ".partial"


def opened(upload: Path) -> io.BufferedReader:
    """The upload, opened for reading. Raises OSError for a link, because this program may read more than its owner."""
    descriptor = os.open(upload, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"the upload {upload} isn't a file")
    return os.fdopen(descriptor, "rb")


def digest(upload: Path) -> str:
    """The SHA-256 of the upload's content, in hex digits."""
    with opened(upload) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_complete(upload: Path) -> bool:
    """Whether the upload has the digest that its name says. A file that can't be read isn't complete."""
    name = upload.stem.removeprefix("host-")
    try:
        return bool(name) and digest(upload).startswith(name)
    except OSError:
        return False


def make_room(paths: Paths) -> None:
    """On a full disk, remove the uploads that were cut off, except those in progress.

    Without that, the disk could stay full: every further upload would fail, so no release would remove old files.
    """
    if not paths.incoming.is_dir() or shutil.disk_usage(paths.incoming).free >= LEAST_BYTES:
        return
    before: dict[Path, os.stat_result] = {}
    for upload in (*paths.incoming.glob("*.tar"), *paths.program_uploads.glob("host-*.pyz"), *_partial(paths)):
        with suppress(FileNotFoundError):
            before[upload] = upload.lstat()
    cut_off = [upload for upload in before if not is_complete(upload)]
    still_open = open_files.everyones(paths) if cut_off else set[str]()
    for upload in cut_off:
        if str(upload) not in still_open:
            _remove(upload, before[upload])


def _remove(upload: Path, before: os.stat_result) -> None:
    """Remove the upload, unless it was written again after ``before``."""
    with suppress(OSError):
        status = upload.lstat()
        if (status.st_ino, status.st_mtime_ns, status.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size):
            upload.unlink()
            say(f"deleted {upload}: the disk is full, and this upload was cut off after {status.st_size} bytes")


def remove_partial(paths: Paths) -> None:
    """Remove the uploads that never got their final names, except those in progress."""
    if partial := list(_partial(paths)):
        still_open = open_files.everyones(paths)
        for upload in partial:
            if str(upload) not in still_open:
                files.discard(upload)


def _partial(paths: Paths) -> Iterator[Path]:
    for folder in (paths.incoming, paths.program_uploads):
        yield from folder.glob(f"*{PARTIAL}")
