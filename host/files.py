"""Writing files so that a reader, or a power cut, finds the old one or the new one and nothing between."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path


def write(path: Path, content: bytes, mode: int) -> bool:
    """Make ``path`` hold ``content`` with ``mode``; False when it already does."""
    if not path.is_symlink() and path.is_file() and path.read_bytes() == content:
        if path.stat().st_mode & 0o7777 == mode:
            return False
        path.chmod(mode)
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    temporary.replace(path)
    return True


def point(link: Path, target: Path | str) -> None:
    """Make ``link`` a symbolic link to ``target``, replacing the old one in one step."""
    # Going back on a full disk must not need room for what is there.
    if link.is_symlink() and str(link.readlink()) == str(target):
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(link)
    temporary.symlink_to(target)
    temporary.replace(link)


def sync(folder: Path) -> None:
    """Have all below ``folder`` on the disk, before a name says that it is whole."""
    subprocess.run(["sync", "--file-system", str(folder)], check=True)


def remove_tree(folder: Path) -> None:
    """Remove a folder that must never be found half removed; a rest, hidden by its name, is for prune to clear."""
    hidden = _beside(folder)
    folder.rename(hidden)
    shutil.rmtree(hidden)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")
