"""The disk of a machine: a layer over the base image or a copy of it, with cloud-init's data for the first boot."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Literal

from components.local.computer import run

# How a disk is made from the image: as a layer over it, or as a whole copy.
DiskKind = Literal["overlay", "copy"]
_CLOUD_INIT_DATA = "var/lib/cloud/seed/nocloud"


def create(*, folder: Path, image_root: Path, id: str, hostname: str, user_data: bytes) -> DiskKind:
    """Creates the disk in the machine's folder.

    It is a layer over the image where the kernel supports that, else a copy. A copy shares blocks with the image where
    the file system supports that.
    """
    for name in ("work", "root", "disk"):
        (folder / name).mkdir(exist_ok=True)
    kind: DiskKind = "overlay" if _can_overlay(folder, image_root) else "copy"
    if kind == "copy":
        _root_of(folder).rmdir()
        run(["cp", "--archive", "--reflink=auto", image_root, _root_of(folder)])
    _root_of(folder).chmod(0o755)
    hosts = f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n::1 localhost ip6-localhost ip6-loopback\n"
    write(folder, "etc/hosts", hosts)
    write(folder, "etc/hostname", f"{hostname}\n")
    write(folder, f"{_CLOUD_INIT_DATA}/meta-data", f"instance-id: {id}\nlocal-hostname: {hostname}\n")
    write(folder, f"{_CLOUD_INIT_DATA}/user-data", user_data, mode=0o600)
    return kind


def write(folder: Path, path: str, content: str | bytes, *, mode: int = 0o644) -> None:
    """Writes a file on the disk. The modes of the file and of new folders don't depend on this process's umask."""
    file = _root_of(folder) / path.lstrip("/")
    missing = [parent for parent in file.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir()
        parent.chmod(0o755)
    file.unlink(missing_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    file.chmod(mode)


def _root_of(folder: Path) -> Path:
    return folder / "disk"


def _can_overlay(folder: Path, image_root: Path) -> bool:
    """Whether an overlay can be mounted. It is tried, because it depends on the kernel and on the file system."""
    options = f"lowerdir={image_root},upperdir={_root_of(folder)},workdir={folder / 'work'}"
    mount = ["mount", "-t", "overlay", "trial", "-o", options, folder / "root"]
    trial = ["unshare", "--mount", "--propagation", "private", *mount]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0
