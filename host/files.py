"""Changes of files that are atomic: a reader, or a power cut, finds the old file or the new one."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path


def write(path: Path, content: bytes, mode: int) -> bool:
    """Make ``path`` a file with ``content`` and ``mode``; returns False if it already was."""
    if not path.is_symlink() and path.is_file() and path.read_bytes() == content:
        if path.stat().st_mode & 0o7777 == mode:
            return False
        path.chmod(mode)
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    temporary.replace(path)
    return True


def point(link: Path, target: Path | str) -> None:
    """Make ``link`` a symbolic link to ``target``. An old link is replaced in one step."""
    # A rollback on a full disk must not need space for a link that is already right.
    if link.is_symlink() and str(link.readlink()) == str(target):
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(link)
    temporary.symlink_to(target)
    temporary.replace(link)


def sync(folder: Path) -> None:
    """Write everything below ``folder`` to the disk, before a name says that the folder is complete."""
    subprocess.run(["sync", "--file-system", str(folder)], check=True)


def remove_tree(folder: Path) -> None:
    """Remove a folder without ever showing an incomplete one. If this is killed, ``prune`` removes the hidden rest."""
    hidden = _temporary(folder)
    folder.rename(hidden)
    shutil.rmtree(hidden)


def _temporary(path: Path) -> Path:
    """A hidden name in the same folder."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")
