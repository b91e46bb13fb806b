"""A change of the releases on a server. It begins without what a killed run has left."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from host import disk_reserve, lock, reboot
from host.console import Phases, phase
from host.paths import Paths


@contextmanager
def exclusive(paths: Paths, holder: str, seconds: Phases, wait: float = lock.WAIT_SECONDS) -> Generator[None]:
    """Hold the server's lock, and the disk's reserve, during the block. ``seconds`` gets the phase ``lock``.

    The server accepts requests, also if an update was killed during its drain. Raises ReleaseError as
    ``lock.exclusive`` does.
    """
    with ExitStack() as stack:
        with phase("lock", seconds):
            stack.enter_context(lock.exclusive(paths.lock, holder, wait))
        stack.enter_context(disk_reserve.available(paths))
        reboot.end_drain(paths)
        yield
