"""Unpacks an uploaded tarball to a release folder that is complete or doesn't exist."""

from __future__ import annotations

import os
import posixpath
import shutil
import tarfile
from collections.abc import Container
from pathlib import Path

from host import files, procfile, state, uploads
from host.errors import ReleaseError
from host.packages import venv
from host.paths import Paths

# Bytes and files of packages whose size isn't known: those of a small set with its bytecode.
PACKAGES = (120_000_000, 6_000)
# Bytes and files besides the release itself: logs, folders and the like.
MARGIN = (10_000_000, 200)


def require_space(paths: Paths, release: str) -> None:
    """Check the upload before anything is changed; raises ReleaseError if it is incomplete or the disk is too full."""
    tarball = paths.tarball(release)
    if (paths.releases / release).is_dir() or not tarball.is_file():
        return
    _verify(tarball, release)
    size, count = _needed(paths, tarball, release)
    disk = os.statvfs(paths.releases)
    # A file system that creates inodes on demand reports 0 of 0.
    if size > disk.f_bavail * disk.f_frsize or (disk.f_files and count > disk.f_favail):
        raise ReleaseError(
            f"no room for release {release}: it needs {_megabytes(size)} and {count} files, and {paths.releases} has"
            f" {_megabytes(disk.f_bavail * disk.f_frsize)} and {disk.f_favail} files free; nothing was changed"
        )


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"


def _needed(paths: Paths, tarball: Path, release: str) -> tuple[int, int]:
    """Bytes and files: twice the tarball, its copies, and the packages unless another release has installed them."""
    with uploads.opened(tarball) as stream, tarfile.open(fileobj=stream) as archive:
        members = {posixpath.normpath(member.name): member for member in archive.getmembers()}

        def read(name: str) -> bytes | None:
            stream = archive.extractfile(members[name]) if name in members else None
            return stream.read() if stream else None

        installed = venv.is_built(paths, paths.releases / release, read)
        copies = _copies(read("Procfile") or b"", members)

    size, count = (2 + copies) * tarball.lstat().st_size + MARGIN[0], (1 + copies) * len(members) + MARGIN[1]
    return (size, count) if installed else (size + PACKAGES[0], count + PACKAGES[1])


def _copies(procfile_text: bytes, members: Container[str]) -> int:
    """How many copies of the release its build and its release phase need."""
    commands = {line.name for line in procfile.lines(procfile.decode(procfile_text))}
    return ("build" in commands or "manage.py" in members) + ("release" in commands)


def unpack(paths: Paths, release: str) -> str:
    """Make ``releases/<release>`` from the upload that ``require_space`` has checked; returns a note for the output."""
    folder = paths.releases / release
    if folder.is_dir():
        return "already here"
    tarball = paths.tarball(release)
    if not tarball.is_file():
        releases = ", ".join(sorted(state.kept_releases(paths))) or "none"
        raise ReleaseError(
            f"release {release} is neither kept on this server (kept: {releases}) nor uploaded to {tarball}; to release"
            " a git commit, set release to more or fewer than 12 of its digits"
        )
    partial = paths.releases / f".{release}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with uploads.opened(tarball) as stream, tarfile.open(fileobj=stream) as archive:
            _extract(archive, partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.chmod(0o755)
    files.sync(partial)
    partial.rename(folder)
    return f"{sum(1 for entry in folder.rglob('*') if entry.is_file())} files"


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Extract all members. Raises TarError, before anything is written, if one would be outside of the folder."""
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
        return
    # Python before 3.11.4 has no filters. Servers have a newer one; tests of the host program may run on an older one.
    for member in archive.getmembers():
        target = Path(member.name).parent / member.linkname if member.issym() else Path(member.name)
        is_outside = posixpath.normpath(target).partition("/")[0] in ("", "..")
        if is_outside or not (member.isreg() or member.isdir() or member.issym()):
            raise tarfile.TarError(f"{member.name} would be outside of the release's folder")
    archive.extractall(folder)


def _verify(tarball: Path, release: str) -> None:
    digest = uploads.digest(tarball)
    if not digest.startswith(release):
        raise ReleaseError(
            f"the upload {tarball} has digest {digest[:12]}, not {release}: it was cut off or changed; to upload it"
            " again, run: bin/pulumi up --replace '**-artifact'"
        )
