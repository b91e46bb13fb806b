"""The block device of a volume: waits for it, makes its file system once, checks it, and grows it.

A file system is made only on a device without a known signature, whose first MiB has zeros only. The functions take the
device's link of the cloud, which their messages then name: unlike /dev/nvme1n1, it always leads to the same volume.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from pathlib import Path

from host import commands, files
from host.console import say
from host.errors import ReleaseError
from host.packages import system_packages
from host.paths import Paths

FILE_SYSTEM, LABEL = "ext4", "gantry-app"
# The links that udev makes to file systems.
BY_UUID = Path("/dev/disk/by-uuid")
PAUSE_SECONDS = 0.2
# A device without a known signature may still hold data. A new volume has zeros only.
SEARCHED_BYTES = 1024 * 1024
# Exit statuses: of blkid, nothing was found; of e2fsck, all errors are corrected.
_NOTHING_FOUND = 2
_CORRECTED = 1
_SIZES = ("Block count", "Block size")


def wait_for(source: Path, size: int, seconds: float) -> None:
    """Wait until the link ``source`` leads to a device of ``size`` GB. Raises ReleaseError after the limit."""
    deadline = time.monotonic() + seconds
    while True:
        if source.is_block_device() and size_of(source) >= size * 1024**3:
            return
        if time.monotonic() >= deadline:
            break
        time.sleep(PAUSE_SECONDS)
    if not source.is_block_device():
        raise ReleaseError(
            f"the volume isn't attached to this server: {source} didn't appear within {seconds:g} s",
            "look at the volume in the cloud's console: it must exist, and be attached to this server; then run"
            " `make up` again, which goes on from here. The app doesn't run without its data",
        )
    raise ReleaseError(
        f"the volume has {size_of(source) / 1024**3:.1f} GB and not yet the {size} GB of the setting storage"
        f" ({source}, after {seconds:g} s)",
        "run `make up` again when the cloud has changed the volume's size",
    )


def size_of(device: Path) -> int:
    """The size in bytes."""
    with device.open("rb") as stream:
        return stream.seek(0, os.SEEK_END)


def ensure_file_system(paths: Paths, device: Path) -> str:
    """The UUID of the device's file system, which is made if the device is empty. Raises ReleaseError otherwise.

    The UUID is recorded before the file system is made. So a file system that a killed run left incomplete can be
    distinguished from one with data.
    """
    system_packages.provide(paths, "mkfs.ext4", "e2fsprogs")
    found = signatures(device)
    incomplete = _unfinished(paths)
    if not found and not incomplete and _has_bytes(device):
        raise _refusal(device, "data without a file system that is known here")
    if found.get("TYPE") == FILE_SYSTEM and found.get("UUID", "") != incomplete:
        return found["UUID"]
    if found and found.get("UUID", "") != incomplete:
        kind = found.get("TYPE") or f"a partition table ({found.get('PTTYPE', 'of an unknown kind')})"
        raise _refusal(device, kind)
    return _make_file_system(paths, device)


def signatures(device: Path) -> dict[str, str]:
    """What the device holds, as ``blkid`` names it: TYPE, UUID, PTTYPE; empty if it holds nothing."""
    result = commands.run(["blkid", "--probe", "--output", "export", str(device)], accepted=(0, _NOTHING_FOUND))
    pairs = (line.partition("=") for line in result.stdout.splitlines())
    return {key: value for key, _, value in pairs if key != "DEVNAME"}


def check(device: Path, *, thoroughly: bool = False) -> None:
    """Repair what a sudden end left in the file system, which isn't mounted. Raises ReleaseError if it is damaged."""
    result = commands.run(["e2fsck", "-fp" if thoroughly else "-p", str(device)], accepted=range(128))
    if result.returncode > _CORRECTED:
        raise ReleaseError(
            f"the file system of the volume is damaged:\n{(result.stdout + result.stderr).strip()}",
            f"make a snapshot of the volume first, then repair it on the server: sudo e2fsck {device}",
        )


def is_smaller_than_device(device: Path) -> bool:
    """Whether the file system can grow."""
    shown = commands.run(["dumpe2fs", "-h", str(device)]).stdout
    blocks, block_size = (int(re.findall(rf"^{name}: +(\d+)$", shown, re.MULTILINE)[0]) for name in _SIZES)
    return size_of(device) // block_size > blocks


def grow_mounted(device: Path) -> bool:
    """Make the file system as large as the device while it is mounted.

    Returns False if the kernel refuses that: it does if the file system has recorded errors, and in containers.
    """
    result = commands.run(["resize2fs", str(device)], accepted=range(128))
    if result.returncode != 0 and "Permission denied" not in result.stderr:
        raise ReleaseError(f"the file system of the volume can't grow:\n{result.stderr.strip()}")
    return result.returncode == 0


def grow_unmounted(device: Path) -> None:
    check(device, thoroughly=True)
    commands.run(["resize2fs", str(device)])


def _make_file_system(paths: Paths, device: Path) -> str:
    identity = str(uuid.uuid4())
    say(f"  the volume is empty: making an {FILE_SYSTEM} file system")
    files.write(paths.volume_record, json.dumps({"making": identity}).encode(), 0o600)
    commands.run(["mkfs.ext4", "-q", "-F", "-L", LABEL, "-U", identity, "-m", "1", str(device)])
    commands.run(["blockdev", "--flushbufs", str(device)])
    paths.volume_record.unlink()
    return identity


def _unfinished(paths: Paths) -> str | None:
    """The UUID of a file system whose making was interrupted."""
    return json.loads(paths.volume_record.read_text()).get("making") if paths.volume_record.exists() else None


def _has_bytes(device: Path) -> bool:
    with device.open("rb") as stream:
        return any(stream.read(SEARCHED_BYTES))


def _refusal(device: Path, content: str) -> ReleaseError:
    return ReleaseError(
        f"the volume holds {content}, and Gantry uses only {FILE_SYSTEM} or an empty volume",
        f"nothing was changed. If the volume may be emptied, do that on the server, and run `make up` again:"
        f" sudo wipefs --all {device} && sudo dd if=/dev/zero of={device} bs=1M count=1",
    )
