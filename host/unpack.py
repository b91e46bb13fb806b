"""From an uploaded tarball to a release folder that is whole or not there."""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
import tarfile
from pathlib import Path

from host import environment, files, serving
from host.errors import ReleaseError
from host.paths import Paths

# What a small set of packages takes, where no other tells: 120 MB in 6,000 files, compiled.
PACKAGES = (120_000_000, 6_000)
# For logs, sockets' folders and the like, besides the release itself.
RESERVE = (10_000_000, 200)


def require_space(paths: Paths, release: str) -> None:
    """Refuse an upload that isn't whole or has no room, before anything is touched; raises ReleaseError."""
    tarball = paths.incoming / f"{release}.tar"
    if (paths.releases / release).is_dir() or not tarball.is_file():
        return
    _verify(tarball, release)
    size, count = _needed(paths, tarball, release)
    free = os.statvfs(paths.releases)
    # A file system that makes inodes as they are needed says that it has none.
    if size > free.f_bavail * free.f_frsize or (free.f_files and count > free.f_favail):
        raise ReleaseError(
            f"no room for release {release}: it needs {_megabytes(size)} and {count} files, and {paths.releases} has"
            f" {_megabytes(free.f_bavail * free.f_frsize)} and {free.f_favail} files free; nothing was changed"
        )


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"


def _needed(paths: Paths, tarball: Path, release: str) -> tuple[int, int]:
    """Bytes and files: twice the tarball, and the packages unless they are installed for another release."""
    with tarfile.open(tarball) as archive:
        members = {posixpath.normpath(member.name): member for member in archive.getmembers()}

        def read(name: str) -> bytes | None:
            stream = archive.extractfile(members[name]) if name in members else None
            return stream.read() if stream else None

        installed = environment.is_built(paths, paths.releases / release, read)
    size, count = 2 * tarball.stat().st_size + RESERVE[0], len(members) + RESERVE[1]
    return (size, count) if installed else (size + PACKAGES[0], count + PACKAGES[1])


def unpack(paths: Paths, release: str) -> str:
    """Make ``releases/<release>`` from the upload, which ``require_space`` has verified; says what was done."""
    folder = paths.releases / release
    if folder.is_dir():
        return "already here"
    tarball = paths.incoming / f"{release}.tar"
    if not tarball.is_file():
        kept = ", ".join(sorted(serving.kept(paths))) or "none"
        raise ReleaseError(
            f"release {release} is neither kept on this server (kept: {kept}) nor uploaded to {tarball}; for a commit"
            " of git, set release to more or fewer than 12 of its digits"
        )
    partial = paths.releases / f".{release}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with tarfile.open(tarball) as archive:
            # The filter refuses members that would land outside of the folder.
            archive.extractall(partial, filter="data")
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.chmod(0o755)
    files.sync(partial)
    partial.rename(folder)
    return f"{sum(1 for entry in folder.rglob('*') if entry.is_file())} files"


def _verify(tarball: Path, release: str) -> None:
    with tarball.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not digest.startswith(release):
        raise ReleaseError(
            f"the upload {tarball} has digest {digest[:12]}, not {release}: it was cut off or changed on the way;"
            " run the command again"
        )
