"""Volumes of a simulated cloud: sparse files that are block devices of real machines while they are attached."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess, run

from components.local import launch, machine

BYTES_OF_GB = 1024**3
PAUSE_SECONDS = 0.1


@dataclass
class _Attachment:
    server: str
    link: str
    device: Path  # the loop device of this computer
    end: threading.Event = field(default_factory=threading.Event)
    udev: threading.Thread | None = None


@dataclass
class BlockDevices:
    """``folder`` holds the files. ``stop`` frees all loop devices."""

    folder: Path
    # Volumes that were taken away from a server while they were mounted there.
    detached_while_mounted: list[str] = field(default_factory=list[str])
    _attachments: dict[str, _Attachment] = field(default_factory=dict[str, _Attachment])

    def create(self, id: str, gigabytes: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._file(id).open("wb") as stream:
            stream.truncate(gigabytes * BYTES_OF_GB)

    def resize(self, id: str, gigabytes: int) -> None:
        """Grow the file, and the device at once."""
        os.truncate(self._file(id), gigabytes * BYTES_OF_GB)
        if attachment := self._attachments.get(id):
            _command("losetup", "--set-capacity", str(attachment.device))

    def delete(self, id: str) -> None:
        self.detach(id)
        self._file(id).unlink(missing_ok=True)

    def attach(self, id: str, server: str, link: str) -> None:
        """``link`` is the name below /dev/disk/by-id on the server."""
        device = Path(_command("losetup", "--find", "--show", str(self._file(id))).stdout.strip())
        self._attachments[id] = attachment = _Attachment(server, link, device)
        self._show(id, attachment)

    def show_again(self, server: str) -> None:
        """After a boot of the server: its /dev is new."""
        for id, attachment in self._attachments.items():
            if attachment.server == server:
                attachment.end.set()
                attachment.end = threading.Event()
                self._show(id, attachment)

    def detach(self, id: str) -> None:
        attachment = self._attachments.pop(id, None)
        if attachment is None:
            return
        attachment.end.set()
        if attachment.udev:
            attachment.udev.join()
        if dev := _dev_of(attachment.server):
            mounts = (dev.parent / "proc/1/mountinfo").read_text()
            if f" {_number(attachment.device)} " in mounts:
                self.detached_while_mounted.append(id)
            for link in (dev / "disk").glob("by-*/*"):
                if link.is_symlink() and link.readlink().name == _node(id):
                    link.unlink()
            (dev / _node(id)).unlink(missing_ok=True)
        _command("losetup", "--detach", str(attachment.device))

    def stop(self) -> None:
        for id in list(self._attachments):
            self.detach(id)

    def _file(self, id: str) -> Path:
        return self.folder / f"{id}.img"

    def _show(self, id: str, attachment: _Attachment) -> None:
        """Make the node and its links, as udev does. A container has no udev."""
        dev = _dev_of(attachment.server)
        if dev is None:
            return
        node, status = dev / _node(id), attachment.device.stat()
        if not node.exists():
            os.mknod(node, status.st_mode, status.st_rdev)
        _link(dev, "by-id", attachment.link, node)
        attachment.udev = threading.Thread(target=_link_by_uuid, args=(attachment, dev, node), daemon=True)
        attachment.udev.start()


def free_loop_devices(folder: Path) -> None:
    """Detach the loop devices whose files are in ``folder``, also those of a process that was killed."""
    listed = _command("losetup", "--list", "--json").stdout
    for entry in json.loads(listed or '{"loopdevices": []}')["loopdevices"]:
        if Path(entry["back-file"].removesuffix(" (deleted)")).is_relative_to(folder):
            _command("losetup", "--detach", entry["name"])


def _link_by_uuid(attachment: _Attachment, dev: Path, node: Path) -> None:
    """Wait until the device has a file system, and make the link with its UUID."""
    while not attachment.end.wait(PAUSE_SECONDS):
        probe = run(
            ["blkid", "--probe", "--match-tag", "UUID", "--output", "value", str(attachment.device)],
            capture_output=True,
            text=True,
        )
        if uuid := probe.stdout.strip():
            _link(dev, "by-uuid", uuid, node)
            return


def _link(dev: Path, kind: str, name: str, node: Path) -> None:
    folder = dev / "disk" / kind
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / name).is_symlink():
        (folder / name).symlink_to(f"../../{node.name}")


def _dev_of(server: str) -> Path | None:
    """The server's /dev as seen from this computer; None while it doesn't run."""
    init = launch.init_process(machine.folder_of(server))
    return Path("/proc", str(init), "root", "dev") if init else None


def _node(id: str) -> str:
    return f"volume-{id}"


def _number(device: Path) -> str:
    number = device.stat().st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def _command(*words: str) -> CompletedProcess[str]:
    return run(words, capture_output=True, text=True, check=True)
