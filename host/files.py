"""Changes of files that are atomic: a reader, or a power cut, finds the old file or the new one."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

from host.errors import ReleaseError


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
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        # A full disk must not get a file with each attempt.
        temporary.unlink(missing_ok=True)
        raise
    return True


def make_folder(folder: Path, mode: int) -> None:
    """Make ``folder`` with ``mode``, also if it exists. Raises OSError if it is a link, perhaps of another user."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


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


def copy_tree(source: Path, target: Path, user: str) -> None:
    """Copy the folder ``source`` to the new folder ``target``, which ``user`` then owns. Times and links stay.

    Raises ReleaseError if it can't be copied, for example because the disk is full.
    """
    target.mkdir(parents=True)
    shutil.chown(target, user, user)
    # The user copies: a copy by root would have to change the owner of each file. A file system that can share
    # the blocks of two files needs no space.
    command = ["cp", "--recursive", "--no-dereference", "--preserve=mode,timestamps,links", "--reflink=auto"]
    run_as(user, [*command, f"{source}/.", str(target)])


def link_tree(source: Path, target: Path) -> None:
    """Copy the folder ``source`` to the new folder ``target`` with hard links: only folders and names are new.

    Nobody may change a file in either folder afterwards.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--archive", "--link", str(source), str(target)], check=True)


def run_as(user: str, command: list[str], umask: int = 0o022) -> None:
    """Run a command as ``user``. Raises ReleaseError with its error if it fails."""
    result = subprocess.run(
        command, user=user, group=user, extra_groups=[], umask=umask, cwd="/", capture_output=True, text=True
    )
    if result.returncode != 0:
        raise ReleaseError(f"{' '.join(command)}: {result.stderr.strip()}")


def give(folder: Path, user: str) -> None:
    """Make ``user`` the owner of the folder and of everything below it. Links themselves change, not their targets."""
    subprocess.run(["chown", "--recursive", "--no-dereference", f"{user}:{user}", str(folder)], check=True)


def seal(folder: Path) -> None:
    """Make root the owner of everything below ``folder``. All users may read it afterwards, and none may write to it.

    No process of another user may be writing there.
    """
    for parent, names, others in os.walk(folder):
        for path in (Path(parent), *(Path(parent, name) for name in (*names, *others))):
            os.chown(path, os.getuid(), os.getgid(), follow_symlinks=False)
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode):
                readable = 0o555 if stat.S_ISDIR(mode) or mode & 0o111 else 0o444
                path.chmod((mode & 0o755) | readable)


def remove_tree(folder: Path) -> None:
    """Remove a folder without ever showing an incomplete one. If this is killed, ``prune`` removes the hidden rest."""
    hidden = _temporary(folder)
    folder.rename(hidden)
    shutil.rmtree(hidden)


def discard(path: Path) -> None:
    """Remove whatever another user has made under this name: a file, a link or a folder. No error stops the caller."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """A hidden name in the same folder."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}")
