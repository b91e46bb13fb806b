from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from host import environment, files, fleet, release, reserve, unpack, web
from host.errors import ReleaseError
from host.lock import exclusive
from host.paths import Paths
from tests.unit.host_machine import Machine


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path)
    found.reserve.parent.mkdir(parents=True)
    return found


def disk(monkeypatch: pytest.MonkeyPatch, **given: int) -> None:
    free = {"f_bfree": 10**9, "f_frsize": 4096, "f_files": 10**6, "f_ffree": 10**6, **given}
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**free))


def test_the_room_is_really_taken_and_none_but_root_sees_it(paths: Paths):
    reserve.keep(paths)
    reserve.keep(paths)
    files = list(paths.reserve.iterdir())
    assert len(files) == reserve.FILES
    assert all(file.stat().st_blocks * 512 >= reserve.BYTES for file in files)
    assert paths.reserve.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("short", [{"f_bfree": 3}, {"f_ffree": 3}])
def test_the_room_is_given_up_on_a_disk_without_space_or_inodes(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, short: dict[str, int]
):
    reserve.keep(paths)
    disk(monkeypatch, **short)
    reserve.spend(paths)
    assert not paths.reserve.exists()


@pytest.mark.parametrize("enough", [{}, {"f_files": 0, "f_ffree": 0}])
def test_the_room_is_kept_where_there_is_other_also_without_a_count_of_inodes(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, enough: dict[str, int]
):
    reserve.keep(paths)
    disk(monkeypatch, **enough)
    reserve.spend(paths)
    assert paths.reserve.exists()


@pytest.mark.parametrize("call", ["mkdir", "open", "posix_fallocate"])
def test_a_full_disk_is_no_reason_to_fail_a_release_that_serves(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, call: str
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    reserve.keep(paths)


@pytest.mark.parametrize("way", ["prepare", "release", "revert", "resume"])
def test_every_way_to_an_earlier_release_may_have_the_room_and_it_is_set_aside_again_also_where_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
):
    machine = Machine(tmp_path, monkeypatch)
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    machine.release(second)
    fleet.files.point(machine.paths.proven, machine.paths.instances / web.Instance(first, "s1", {}).name)
    machine.disk.f_ffree, there = 0, list[bool]()

    def fail(*_: object) -> None:
        there.append(machine.paths.reserve.exists())
        raise ReleaseError("no such luck")

    for module, name in ((environment, "environment"), (web, "start"), (unpack, "require_space")):
        monkeypatch.setattr(module, name, fail)
    monkeypatch.setattr(web, "is_active", lambda _: False)
    ways = {
        "prepare": lambda: fleet.prepare(machine.paths, second),
        "release": lambda: machine.release(second),
        "revert": lambda: fleet.revert(machine.paths),
        "resume": lambda: release.resume(machine.paths),
    }
    with pytest.raises(ReleaseError):
        ways[way]()
    assert (there[0], machine.paths.reserve.exists()) == (False, True)


def test_a_lock_is_held_and_a_right_link_stays_where_nothing_can_be_written(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
):
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
