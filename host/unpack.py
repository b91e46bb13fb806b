"""From an uploaded tarball to a release folder that is whole or not there."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path

from host.errors import ReleaseError
from host.paths import Paths


def unpack(paths: Paths, release: str) -> str:
    """Make ``releases/<release>`` from the upload unless it is there; says what was done."""
    folder = paths.releases / release
    if folder.is_dir():
        return "already here"
    tarball = paths.incoming / f"{release}.tar"
    if not tarball.is_file():
        kept = ", ".join(sorted(each.name for each in paths.releases.glob("[!.]*"))) or "none"
        raise ReleaseError(
            f"release {release} is neither kept on this server (kept: {kept}) nor uploaded to {tarball}; for a commit"
            " of git, set release to more or fewer than 12 of its digits"
        )
    _verify(tarball, release)
    partial = paths.releases / f".{release}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with tarfile.open(tarball) as archive:
        # The filter refuses members that would land outside of the folder.
        archive.extractall(partial, filter="data")
    partial.chmod(0o755)
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
