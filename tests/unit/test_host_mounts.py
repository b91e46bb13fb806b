"""Which mounts there are, and the units that mount."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from host import mounts, systemd
from host.errors import ReleaseError
from host.paths import Paths

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
90 22 259:1 / /var/lib/gantry/volume rw,nosuid,nodev shared:2 - ext4 /dev/nvme1n1 rw
91 22 259:1 /app /var/lib/app rw,nosuid,nodev shared:2 - ext4 /dev/nvme1n1 rw
92 22 259:2 / /srv/with\\040blank rw - ext4 /dev/nvme2n1 rw
93 22 254:0 /gantry/volumes/v-1/data /local rw - ext4 /dev/vda1 rw
94 22 254:0 /gantry/volumes/v-1/data/app /local-app rw - ext4 /dev/vda1 rw
"""
VOLUME, HOME = Path("/var/lib/gantry/volume"), Path("/var/lib/app")


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel's list of mounts."""
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS)
    monkeypatch.setattr(mounts, "_MOUNTS", file)
    return file


@pytest.mark.usefixtures("mounted")
def test_mounts_are_found_by_their_place():
    assert mounts.find(VOLUME) == mounts.Mount("259:1", "/")
    assert mounts.find(Path("/srv/with blank")) == mounts.Mount("259:2", "/")
    assert mounts.find(Path("/var/lib")) is None


@pytest.mark.usefixtures("mounted")
def test_a_bind_mount_can_be_distinguished_from_another_mount_at_its_place():
    assert mounts.is_bound(VOLUME / "app", below=VOLUME, at=HOME)
    # A folder of a computer that a machine sees has the same device as the computer's root.
    assert mounts.is_bound(Path("/local/app"), below=Path("/local"), at=Path("/local-app"))
    assert not mounts.is_bound(VOLUME / "other", below=VOLUME, at=HOME)
    assert not mounts.is_bound(Path("/srv/app"), below=Path("/srv"), at=HOME)


def test_a_later_mount_covers_an_earlier_one(mounted: Path):
    mounted.write_text(MOUNTS + "99 22 0:50 / /var/lib/app rw - tmpfs tmpfs rw\n")
    assert not mounts.is_bound(VOLUME / "app", below=VOLUME, at=HOME)


def test_the_unit_of_the_data_asserts_its_source_and_does_not_hold_up_the_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(systemd, "systemctl", lambda *_: None)
    paths = Paths(tmp_path)
    mounts.write_unit(
        paths,
        systemd.DATA_MOUNT,
        what=str(VOLUME / "app"),
        where=HOME,
        type_="none",
        options="bind",
        description="data",
    )
    lines = (paths.units / "var-lib-app.mount").read_text().splitlines()
    assert "AssertPathIsDirectory=/var/lib/gantry/volume/app" in lines
    assert "AssertPathIsMountPoint=/var/lib/gantry/volume" in lines
    assert "DefaultDependencies=no" in lines
    link = paths.units / "multi-user.target.wants/var-lib-app.mount"
    assert link.resolve() == (paths.units / "var-lib-app.mount").resolve()
    mounts.remove_unit(paths, systemd.DATA_MOUNT)
    assert not link.is_symlink()


@pytest.mark.usefixtures("mounted")
def test_a_folder_that_stays_mounted_is_an_error_that_names_who_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(systemd, "systemctl", lambda *_: None)
    monkeypatch.setattr(mounts, "find", lambda _: mounts.Mount("259:1", "/"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReleaseError, match=rf"in use by .*\({os.getpid()}\)"):
        mounts.unmount(systemd.DATA_MOUNT, tmp_path)


def test_processes_of_the_app_are_left_out_of_those_that_use_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mounts, "_groups", lambda _: ["0::", "system.slice", "gantry-web@aa-1.service"])
    own = f"({os.getpid()})"
    assert own in str(mounts.users(tmp_path))
    assert own in str(mounts.users(tmp_path, ["gantry-cron@*.service"]))
    assert own not in str(mounts.users(tmp_path, ["gantry-cron@*.service", "gantry-web@*.service"]))


def test_a_use_that_ends_soon_does_not_keep_a_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mounts, "find", lambda _: mounts.Mount("259:1", "/"))
    monkeypatch.setattr(mounts, "PAUSE_SECONDS", 0)
    answers = iter([["cat (812)"], ["cat (812)"], []])
    monkeypatch.setattr(mounts, "users", lambda *_: next(answers))
    mounts.require_unused(tmp_path, except_units=())
    monkeypatch.setattr(mounts, "users", lambda *_: ["bash (812)"])
    monkeypatch.setattr(mounts, "USE_SECONDS", 0)
    with pytest.raises(ReleaseError, match=r"in use by bash \(812\)"):
        mounts.require_unused(tmp_path, except_units=())
