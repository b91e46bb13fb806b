"""The lock of a server: only one run at a time may change it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from host.errors import ReleaseError

# A second operator gets the answer within five seconds, and the SSH login and the start of this program take up to one.
WAIT_SECONDS = 4.0


@contextmanager
def exclusive(path: Path, holder: str, wait: float = WAIT_SECONDS) -> Generator[None]:
    """Hold the lock at ``path`` for the block. ``holder`` names this run in the error of a run that waits.

    Raises ReleaseError with the present holder if the lock isn't free within ``wait`` seconds. The kernel frees the
    lock of a process that ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(descriptor, wait)
        os.ftruncate(descriptor, 0)
        # On a full disk, a run that waits names "another process" instead.
        with suppress(OSError):
            os.pwrite(descriptor, f"{holder} (process {os.getpid()})".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder(path: Path) -> str:
    """The run that holds the lock at ``path``; empty if none does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return ""
    except BlockingIOError:
        return _holder(descriptor)
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"


def _acquire(descriptor: int, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise ReleaseError(
                    f"this server is being changed by {_holder(descriptor)}; run the command again when that has ended"
                ) from None
            time.sleep(0.1)
