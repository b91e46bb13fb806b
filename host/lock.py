"""One release at a time on a server."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from host.errors import ReleaseError

# Who comes second is told within five seconds: the login and the start of this program take a part of them.
WAIT_SECONDS = 4.0


@contextmanager
def exclusive(path: Path, holder: str, wait: float = WAIT_SECONDS) -> Generator[None]:
    """Hold the lock at ``path``; a dead holder's lock is free, since the kernel keeps it.

    Raises ReleaseError that names the holder when it isn't free within ``wait`` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(descriptor, wait)
        os.ftruncate(descriptor, 0)
        with suppress(OSError):  # on a full disk who waits is told of "another process"
            os.pwrite(descriptor, f"{holder} (process {os.getpid()})".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
                raise ReleaseError(
                    f"this server is being changed by {holder}; run the command again when it is done"
                ) from None
            time.sleep(0.1)
