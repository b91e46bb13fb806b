"""A swap file on a server with little memory. At a peak, the kernel moves unused memory there and kills nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from host import commands
from host.errors import ReleaseError
from host.paths import Paths

MIB, GIB = 1024**2, 1024**3
# A machine that is sold with 2 GB reports a little less.
SMALL = 2.5 * GIB
# A smaller file isn't worth its place.
SMALLEST = 256 * MIB
AUTO = "auto"

Run = Callable[[list[str]], object]


def provide(paths: Paths, setting: str, *, memory: int | None = None, run: Run | None = None) -> str:
    """Make and use the swap file that the setting asks for: ``auto``, or a size in GB, of which 0 means none.

    Returns a sentence for the journal. ``memory`` in bytes is by default that of the machine. ``run`` replaces the
    execution of commands in tests. Raises ReleaseError if the disk lacks the space for a given size.
    """
    run = run or commands.run
    file, others = paths.swap, _active(paths)
    is_on = paths.swap in others
    if setting == AUTO and others - {file}:
        return f"the server has other swap: {', '.join(map(str, sorted(others - {file})))}"
    wanted = wanted_bytes(setting, memory or _memory())
    size = file.stat().st_size if file.is_file() else 0
    if size and (size == wanted or (setting == AUTO and SMALLEST <= size <= wanted)):
        if not is_on:
            run(["swapon", str(file)])
        return f"{size // MIB} MB of swap"
    if is_on:
        run(["swapoff", str(file)])
    file.unlink(missing_ok=True)
    if not wanted:
        return "no swap"
    room = shutil.disk_usage(file.parent).free // 4 // MIB * MIB
    size = min(wanted, room) if setting == AUTO else wanted
    if size > room or size < min(SMALLEST, wanted):
        message = f"no swap: it may take a quarter of the free disk space, which is {room // MIB} MB"
        if setting == AUTO:
            return message
        raise ReleaseError(message, "Free disk space, or choose a smaller size: pulumi config set swap <GB>")
    _create(file, size)
    run(["mkswap", str(file)])
    run(["swapon", str(file)])
    return f"{size // MIB} MB of swap"


def wanted_bytes(setting: str, memory: int) -> int:
    """The size of the file in whole MiB. By default, a small machine gets as much as it has memory."""
    if setting != AUTO:
        return int(setting) * GIB
    return min(memory, 2 * GIB) // MIB * MIB if memory < SMALL else 0


def _create(file: Path, size: int) -> None:
    # Swapped memory may hold secrets.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        # The kernel doesn't swap to a file with holes.
        os.posix_fallocate(descriptor, 0, size)
    except BaseException:
        file.unlink()
        raise
    finally:
        os.close(descriptor)


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _active(paths: Paths) -> set[Path]:
    """The files and devices that the kernel swaps to."""
    _, *lines = (paths.root / "proc/swaps").read_text().splitlines()
    return {Path(line.split()[0]) for line in lines}
