"""Disk space that is reserved so that a rollback works on a full disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress

from host.paths import Paths

# A rollback starts a deployment, which writes a few small files and links. Each of them needs an inode, too.
FILES, BYTES = 24, 64 * 1024


@contextmanager
def available(paths: Paths) -> Generator[None]:
    """Free the reserve for the block if the disk is full, and fill it again afterwards. The caller holds the lock."""
    free_if_full(paths)
    try:
        yield
    finally:
        fill(paths)


def fill(paths: Paths) -> None:
    """Reserve the space, or as much of it as there is."""
    with suppress(OSError):
        paths.disk_reserve.mkdir(mode=0o700, exist_ok=True)
        for number in range(FILES):
            descriptor = os.open(paths.disk_reserve / str(number), os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, BYTES)
            finally:
                os.close(descriptor)


def free_if_full(paths: Paths) -> None:
    """Free the reserve if the disk has less space than it holds."""
    disk = os.statvfs(paths.disk_reserve.parent)
    # Some file systems don't count inodes and report 0 of 0.
    if disk.f_bfree * disk.f_frsize < FILES * BYTES or (disk.f_files and disk.f_ffree < FILES):
        shutil.rmtree(paths.disk_reserve, ignore_errors=True)
