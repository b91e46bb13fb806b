"""The file system of a volume: made once on an empty device, and never over data."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from host import block_device, commands
from host.errors import ReleaseError
from host.paths import Paths

pytestmark = pytest.mark.skipif(
    shutil.which("mkfs.ext4", path="/usr/sbin:/sbin") is None, reason="needs mkfs.ext4 (apt-get install e2fsprogs)"
)


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A link to a file in place of a block device. The programs take both."""
    monkeypatch.setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
    file = tmp_path / "device"
    with file.open("wb") as stream:
        stream.truncate(64 * 1024**2)
    run = commands.run

    def run_all_but_flush(command: list[str], accepted: range | tuple[int, ...] = (0,)) -> object:
        return None if command[0] == "blockdev" else run(command, accepted)

    monkeypatch.setattr(commands, "run", run_all_but_flush)
    monkeypatch.setattr(block_device.system_packages, "provide", lambda *_: None)
    link = tmp_path / "nvme-Amazon_Elastic_Block_Store_vol0a1b"
    link.symlink_to(file)
    yield link


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "server")
    paths.state.mkdir(parents=True)
    return paths


def test_an_empty_device_gets_a_file_system_once(device: Path, paths: Paths):
    identity = block_device.ensure_file_system(paths, device)
    assert block_device.signatures(device)["UUID"] == identity
    assert block_device.signatures(device)["LABEL"] == "gantry-app"
    assert block_device.ensure_file_system(paths, device) == identity
    assert not paths.volume_record.exists()


def test_a_file_system_that_a_killed_run_left_is_made_again(device: Path, paths: Paths):
    identity = block_device.ensure_file_system(paths, device)
    paths.volume_record.write_text(json.dumps({"making": identity}))
    assert block_device.ensure_file_system(paths, device) != identity
    # Killed before it had a signature: there are bytes, and nothing that is known.
    with device.open("r+b") as stream:
        stream.write(b"x" * 100)
        stream.seek(1024)
        stream.write(bytes(1024))
    paths.volume_record.write_text(json.dumps({"making": "some-uuid"}))
    block_device.ensure_file_system(paths, device)


@pytest.mark.parametrize("kind", ["xfs", "partitions", "unknown"])
def test_anything_else_is_refused_and_stays_as_it_is(kind: str, device: Path, paths: Paths):
    if kind == "xfs":
        header, position = b"XFSB" + bytes(4) + b"", 0
        content = header
    elif kind == "partitions":
        content, position = b"\x55\xaa", 510
    else:
        content, position = b"precious", 4000
    with device.open("r+b") as stream:
        stream.seek(position)
        stream.write(content)
    before = device.read_bytes()
    with pytest.raises(ReleaseError, match="nothing was changed") as error:
        block_device.ensure_file_system(paths, device)
    # Another boot may give the name /dev/nvme1n1 to another device.
    assert f"sudo wipefs --all {device} && sudo dd if=/dev/zero of={device} " in str(error.value)
    assert device.read_bytes() == before


def test_the_file_system_grows_with_the_device(device: Path, paths: Paths):
    block_device.ensure_file_system(paths, device)
    assert not block_device.is_smaller_than_device(device)
    with device.open("r+b") as stream:
        stream.truncate(256 * 1024**2)
    assert block_device.is_smaller_than_device(device)
    block_device.grow_unmounted(device)
    assert not block_device.is_smaller_than_device(device)
    subprocess.run(["e2fsck", "-fn", str(device)], check=True, capture_output=True)


def test_a_device_that_does_not_appear_is_named_with_the_remedy(tmp_path: Path):
    with pytest.raises(
        ReleaseError, match=r"isn't attached to this server: .*scsi-0DO_Volume_x didn't appear"
    ) as error:
        block_device.wait_for(tmp_path / "scsi-0DO_Volume_x", 20, seconds=0)
    assert "The app doesn't run without its data" in str(error.value)
