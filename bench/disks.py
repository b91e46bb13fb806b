"""Gives local machines small disks of their own. Otherwise all machines share the disk of this computer."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from components.local import launch, machine

# The room on a limited disk, besides the files that the machine has already.
FREE_MEGABYTES = 300


@contextmanager
def limited(ids: Iterable[str]) -> Generator[None]:
    """Moves the disks of the machines to file systems in memory. The machines are stopped, and boot at the next `up`.

    The disks survive a kill of the machine. At the end the machines are killed, and have their old disks again.
    """
    folders = {id: machine.folder_of(id) for id in ids}
    try:
        for id, folder in folders.items():
            machine.stop(id)
            _move(folder)
        yield
    finally:
        for id, folder in folders.items():
            if folder.is_mount():
                launch.kill(id, folder, machine.veth_of(id))
                _run("umount", folder)


def _move(folder: Path) -> None:
    """Copies the folder of a machine to a new file system, and mounts that over the folder."""
    megabytes = FREE_MEGABYTES + int(_run("du", "--summarize", "--block-size=1M", folder).split()[0])
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as new:
        _run("mount", "-t", "tmpfs", "-o", f"mode=700,size={megabytes}m", "gantry-bench", new)
        try:
            _run("cp", "--archive", f"{folder}/.", new)
            _run("mount", "--bind", new, folder)
        finally:
            _run("umount", new)


def _run(*words: str | Path) -> str:
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
