"""Room that is set aside so that a release that is kept can be gone back to on a full disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress

from host.paths import Paths

# A few small files and links are written to start an instance; each needs an inode, too.
FILES, BYTES = 24, 64 * 1024


@contextmanager
def lent(paths: Paths) -> Generator[None]:
    """Give the room to who has the server's lock, if there is little else, and set it aside again afterwards."""
    spend(paths)
    try:
        yield
    finally:
        keep(paths)


def keep(paths: Paths) -> None:
    """Set the room aside, as far as there is any."""
    with suppress(OSError):
        paths.reserve.mkdir(mode=0o700, exist_ok=True)
        for number in range(FILES):
            descriptor = os.open(paths.reserve / str(number), os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, BYTES)
            finally:
                os.close(descriptor)


def spend(paths: Paths) -> None:
    """Give the room to the release that starts now, if there is little else."""
    disk = os.statvfs(paths.reserve.parent)
    # Some file systems don't count inodes, and say 0 of 0.
    if disk.f_bfree * disk.f_frsize < FILES * BYTES or (disk.f_files and disk.f_ffree < FILES):
        shutil.rmtree(paths.reserve, ignore_errors=True)
