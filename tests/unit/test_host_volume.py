"""The volume on a server: an app that never runs without it, and its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from host import disk_reserve, files, mounts, resume, systemd, volume, volume_removal
from host.errors import ReleaseError
from host.paths import Paths
from tests.unit.volume_server import DATA, VolumeServer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VolumeServer:
    return VolumeServer(tmp_path, monkeypatch)


def give_up(server: VolumeServer) -> None:
    assert volume_removal.is_due(server.paths, agreed=True)
    with volume_removal.given_up(server.paths):
        pass


def test_a_new_server_gets_an_empty_folder_of_the_volume(server: VolumeServer):
    server.mount()
    assert server.paths.app_home in server.mounted
    assert server.names(server.paths.volume_app_home) == []
    assert not server.paths.app_home_before_volume.exists()


def test_the_data_of_a_running_app_moves_to_the_volume_and_the_old_folder_stays(
    server: VolumeServer, capsys: pytest.CaptureFixture[str]
):
    server.run_app()
    server.mount()
    assert server.names(server.paths.volume_app_home) == DATA
    assert server.names(server.paths.app_home_before_volume) == DATA
    assert (server.paths.volume_app_home / "link").is_symlink()
    assert server.is_running
    assert f"sudo rm -r {server.paths.app_home_before_volume}" in capsys.readouterr().out


def test_a_second_run_changes_nothing_and_does_not_stop_the_app(server: VolumeServer):
    server.run_app()
    server.mount()
    server.calls.clear()
    server.mount()
    assert server.calls == []
    assert server.is_running


def test_a_new_server_finds_the_data_on_the_volume(server: VolumeServer):
    (server.paths.volume_app_home / "media").mkdir(parents=True)
    server.mount()
    assert server.names(server.paths.volume_app_home) == ["media"]
    assert server.paths.app_home in server.mounted


def test_before_the_volume_is_detached_the_app_is_stopped_and_cannot_start_again(server: VolumeServer):
    server.run_app()
    server.mount()
    volume.unmount(server.paths)
    assert server.paths.app_home not in server.mounted
    assert not server.is_running
    assert volume.is_configured(server.paths)


@pytest.mark.parametrize("is_noticed_before", [True, False])
def test_after_a_failed_unmount_the_app_runs(server: VolumeServer, is_noticed_before: bool):
    server.run_app()
    server.mount()
    if is_noticed_before:
        server.users = ["bash (812)"]
        server.while_it_stops = lambda: pytest.fail("the app was stopped")
    else:
        server.stays_mounted = server.paths.app_home
    with pytest.raises(ReleaseError, match=f"{server.paths.app_home} can't be unmounted, because it is in use by"):
        volume.unmount(server.paths)
    assert server.is_running


@pytest.mark.parametrize("run", [VolumeServer.mount, lambda server: volume.unmount(server.paths)])
def test_on_a_full_disk_the_reserve_is_free_while_the_app_is_stopped(
    server: VolumeServer, monkeypatch: pytest.MonkeyPatch, run: Callable[[VolumeServer], None]
):
    server.run_app()
    if run is not VolumeServer.mount:
        server.mount()
    disk_reserve.fill(server.paths)
    numbers = {"f_bfree": 3, "f_frsize": 4096, "f_files": 10**6, "f_ffree": 10**6, "f_bavail": 10**6, "f_blocks": 10**6}
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**numbers))
    reserved = list[bool]()
    server.while_it_stops = lambda: reserved.append(server.paths.disk_reserve.exists())
    run(server)
    assert (reserved, server.paths.disk_reserve.exists()) == ([False], True)


def test_no_boot_starts_an_app_whose_volume_was_unmounted_until_it_is_mounted_again(server: VolumeServer):
    server.run_app()
    server.mount()
    link = server.paths.units / "multi-user.target.wants" / systemd.DATA_MOUNT
    volume.unmount(server.paths)
    assert not link.is_symlink()
    resume.resume(server.paths)
    assert not server.is_running
    server.mount()
    server.is_running = False
    resume.resume(server.paths)
    assert (server.is_running, link.is_symlink()) == (True, True)
    # Somebody starts the app after an unmount, which mounts the folder.
    volume.unmount(server.paths)
    resume.serve_again(server.paths)
    server.mount()
    assert link.is_symlink()
    # A release without a mount before it.
    volume.unmount(server.paths)
    volume.require(server.paths)
    assert link.is_symlink()


def test_a_server_without_a_volume_is_left_alone_by_unmount(server: VolumeServer):
    server.run_app()
    volume.unmount(server.paths)
    assert server.is_running


def test_a_release_that_needs_the_volume_fails_without_it(server: VolumeServer):
    with pytest.raises(ReleaseError, match="no volume is mounted"):
        volume.require(server.paths)


def test_without_the_setting_the_release_is_refused_with_both_ways_on(server: VolumeServer):
    server.run_app()
    server.mount()
    # In a cloud, a volume that is no longer in the settings keeps its protection, whatever deleteStorage is.
    steps = "set storage back, then .* deleteStorage true; make up; pulumi config rm storage; make up"
    with pytest.raises(ReleaseError, match=steps) as error:
        volume_removal.is_due(server.paths, agreed=False)
    assert "the setting storage is gone" in str(error.value)
    assert server.is_running


def test_a_volume_that_is_given_up_is_unmounted_for_good(server: VolumeServer):
    server.run_app()
    server.mount()
    give_up(server)
    assert server.paths.app_home not in server.mounted
    assert not volume.is_configured(server.paths)
    volume.unmount(server.paths)


@pytest.mark.parametrize("wrote", [True, False])
def test_after_a_release_that_fails_without_the_volume_the_app_runs_with_its_data_again(
    server: VolumeServer, wrote: bool
):
    server.run_app()
    server.mount()
    with pytest.raises(ReleaseError, match="a fault"), volume_removal.given_up(server.paths):
        assert not volume.is_configured(server.paths)
        assert not server.is_running
        if wrote:
            (server.paths.app_home / "new.db").touch()
        raise ReleaseError("a fault")
    assert server.paths.app_home in server.mounted
    assert server.is_running
    link = server.paths.units / "multi-user.target.wants" / systemd.DATA_MOUNT
    assert link.resolve() == server.paths.units / systemd.DATA_MOUNT
    # Nothing is left below the mount.
    assert not any(server.paths.app_home.iterdir())
    volume.unmount(server.paths)
    server.mount()


@pytest.mark.parametrize("unit", [systemd.VOLUME_MOUNT, systemd.DATA_MOUNT])
def test_a_run_that_was_killed_while_it_gave_the_volume_up_is_continued(
    server: VolumeServer, monkeypatch: pytest.MonkeyPatch, unit: str
):
    server.run_app()
    server.mount()
    # As in a cloud, where the volume has a unit, too.
    data_unit = server.paths.units / systemd.DATA_MOUNT
    (server.paths.units / systemd.VOLUME_MOUNT).write_text(data_unit.read_text())
    owners = list[str]()
    monkeypatch.setattr(files, "give", lambda _, owner: owners.append(owner))
    remove = mounts.remove_unit

    def die_at(paths: Paths, name: str) -> None:
        if name == unit:
            raise KeyboardInterrupt
        remove(paths, name)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mounts, "remove_unit", die_at)
        patch.setattr(volume_removal, "_take_back", lambda *_: None)
        give_up(server)
    assert volume.is_configured(server.paths)
    # Killed with the unit of the volume alone, as an earlier version could be.
    if unit == systemd.VOLUME_MOUNT:
        data_unit.unlink()
        assert volume.is_configured(server.paths)
    give_up(server)
    assert owners[-1] == "app"
    assert not volume.is_configured(server.paths)


def test_a_unit_that_the_operator_wrote_for_the_folder_stays(server: VolumeServer):
    unit = server.paths.units / systemd.DATA_MOUNT
    unit.write_text("[Mount]\nWhat=/dev/sdb1\nWhere=/var/lib/app\n")
    assert not volume.is_configured(server.paths)
    server.run_app()
    server.while_it_stops = lambda: pytest.fail("the app was stopped")
    for agreed in (False, True):
        assert not volume_removal.is_due(server.paths, agreed=agreed)
    volume.unmount(server.paths)
    with pytest.raises(ReleaseError, match=r"var-lib-app\.mount is a unit that Gantry didn't write"):
        server.mount()
    assert "sdb1" in unit.read_text()


def test_something_else_that_is_mounted_there_is_not_covered(server: VolumeServer, monkeypatch: pytest.MonkeyPatch):
    server.mounted.add(server.paths.app_home)
    monkeypatch.setattr(mounts, "is_bound", lambda *_, **__: False)
    with pytest.raises(ReleaseError, match="something else is mounted"):
        server.mount()
