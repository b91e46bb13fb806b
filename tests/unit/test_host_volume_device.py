"""The device of a volume on a server: the cloud's link to it is mounted, and no copy in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from host import block_device, mounts, systemd, volume
from host.errors import ReleaseError
from host.mounts import Mount
from tests.unit.volume_server import SIZE, VolumeServer

LINK = Path("/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0a1b")
UUID_LINK = Path("/dev/disk/by-uuid/c0ffee")
OWN, OTHER = "259:1", "259:2"


class DeviceServer(VolumeServer):
    """A server in a cloud. ``devices`` has the devices that links lead to."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(root, monkeypatch)
        self.mounted.clear()
        self.devices = {str(LINK): OWN, str(UUID_LINK): OWN}
        self.mounted_device = OWN
        self.named: list[Path] = []
        self.grows = False
        monkeypatch.setattr(mounts, "find", lambda path: Mount(self.mounted_device, "/") if self.has(path) else None)
        monkeypatch.setattr(mounts, "device_number", lambda link: self.devices[str(link)])
        monkeypatch.setattr(Path, "is_block_device", lambda link: str(link) in self.devices)
        for name in ("wait_for", "ensure_file_system", "check", "grow_unmounted"):
            monkeypatch.setattr(block_device, name, lambda *words: self.named.extend({LINK, UUID_LINK} & {*words}))
        monkeypatch.setattr(block_device, "is_smaller_than_device", lambda _: self.grows)
        monkeypatch.setattr(block_device, "grow_mounted", lambda _: False)

    def has(self, path: Path) -> bool:
        return path in self.mounted

    def systemctl(self, verb: str, *units: str, **options: object) -> object:
        if units == (systemd.VOLUME_MOUNT,):
            (self.mounted.add if verb == "start" else self.mounted.discard)(self.paths.volume)
        return super().systemctl(verb, *units, **options)

    def mount(self) -> None:
        volume.mount(self.paths, LINK, SIZE)

    def unit(self) -> str:
        return (self.paths.units / systemd.VOLUME_MOUNT).read_text()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeviceServer:
    return DeviceServer(tmp_path, monkeypatch)


def test_the_link_of_the_cloud_is_mounted_and_named_in_every_message(server: DeviceServer):
    server.mount()
    assert f"What={LINK}\n" in server.unit()
    assert server.named == [LINK, LINK, LINK]
    volume.require(server.paths)


def test_a_server_of_an_earlier_version_gets_the_link_while_its_app_runs(server: DeviceServer):
    server.run_app()
    server.mount()
    file = server.paths.units / systemd.VOLUME_MOUNT
    file.write_text(server.unit().replace(str(LINK), str(UUID_LINK)))
    volume.require(server.paths)
    server.calls.clear()
    server.mount()
    assert f"What={LINK}\n" in server.unit()
    assert server.calls == ["daemon-reload"]
    assert server.is_running


def test_another_device_that_got_mounted_in_its_place_is_refused(server: DeviceServer):
    server.mounted_device = OTHER
    with pytest.raises(ReleaseError, match=f"another volume is mounted at .*: the device {OTHER}"):
        server.mount()
    assert server.paths.app_home not in server.mounted


@pytest.mark.parametrize("is_attached", [True, False])
def test_no_release_starts_on_a_copy_of_the_volume(server: DeviceServer, is_attached: bool):
    server.mount()
    if is_attached:
        server.devices[str(LINK)] = OTHER
    else:
        del server.devices[str(LINK)]
    with pytest.raises(ReleaseError, match=f"another device than {LINK} is mounted"):
        volume.require(server.paths)
