from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from host import deployment, disk_reserve, files, probation, resume, unpack
from host.deployment import Deployment
from host.errors import ReleaseError
from host.lock import exclusive
from host.packages import venv
from host.paths import Paths
from tests.unit.host_server import FakeServer


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.disk_reserve.parent.mkdir(parents=True)
    return paths


def set_disk(monkeypatch: pytest.MonkeyPatch, **numbers: int) -> None:
    """Let the disk have much space, except for the ``numbers`` of statvfs that are named."""
    disk = {"f_bfree": 10**9, "f_frsize": 4096, "f_files": 10**6, "f_ffree": 10**6, **numbers}
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**disk))


def test_the_reserve_takes_space_on_the_disk_and_only_root_can_read_it(paths: Paths):
    disk_reserve.fill(paths)
    disk_reserve.fill(paths)
    files = list(paths.disk_reserve.iterdir())
    assert len(files) == disk_reserve.FILES
    assert all(file.stat().st_blocks * 512 >= disk_reserve.BYTES for file in files)
    assert paths.disk_reserve.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("short", [{"f_bfree": 3}, {"f_ffree": 3}])
def test_the_reserve_is_freed_on_a_disk_without_space_or_inodes(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, short: dict[str, int]
):
    disk_reserve.fill(paths)
    set_disk(monkeypatch, **short)
    disk_reserve.free_if_full(paths)
    assert not paths.disk_reserve.exists()


@pytest.mark.parametrize("enough", [{}, {"f_files": 0, "f_ffree": 0}])
def test_the_reserve_is_kept_if_there_is_other_space_also_without_a_count_of_inodes(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, enough: dict[str, int]
):
    disk_reserve.fill(paths)
    set_disk(monkeypatch, **enough)
    disk_reserve.free_if_full(paths)
    assert paths.disk_reserve.exists()


@pytest.mark.parametrize("call", ["mkdir", "open", "posix_fallocate"])
def test_a_reserve_that_cannot_be_filled_does_not_fail_a_release(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, call: str
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    disk_reserve.fill(paths)


@pytest.mark.parametrize("command", ["prepare", "release", "rollback", "resume"])
def test_every_command_that_may_start_a_release_frees_the_reserve_and_fills_it_again_even_if_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
):
    server = FakeServer(tmp_path, monkeypatch)
    first, second = server.upload("one"), server.upload("two")
    server.release(first)
    server.release(second)
    files.point(server.paths.proven, server.paths.deployments / Deployment(first, "s1", {}).name)
    server.disk.f_ffree, reserved = 0, list[bool]()

    def fail(*_: object) -> None:
        reserved.append(server.paths.disk_reserve.exists())
        raise ReleaseError("a fault")

    for module, name in ((venv, "ensure"), (deployment, "start"), (unpack, "require_space")):
        monkeypatch.setattr(module, name, fail)
    monkeypatch.setattr(deployment, "is_active", lambda _: False)
    commands = {
        "prepare": lambda: probation.prepare(server.paths, second),
        "release": lambda: server.release(second),
        "rollback": lambda: probation.rollback(server.paths),
        "resume": lambda: resume.resume(server.paths),
    }
    with pytest.raises(ReleaseError):
        commands[command]()
    assert (reserved[0], server.paths.disk_reserve.exists()) == (False, True)


def test_on_a_full_disk_the_lock_works_and_a_link_that_is_right_stays(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    paths.state.mkdir(parents=True)
    files.point(paths.current, "a")
    paths.lock.touch()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    monkeypatch.setattr(os, "symlink", full)
    with exclusive(paths.lock, "a release"):
        files.point(paths.current, "a")
        with pytest.raises(OSError, match="No space"):
            files.point(paths.current, "b")
