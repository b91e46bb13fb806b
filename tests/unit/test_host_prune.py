from __future__ import annotations

import os
from pathlib import Path

import pytest

from host import release, serving, web
from host.errors import ReleaseError
from tests.unit.host_machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize("size", [0, 700, 1024])
def test_an_upload_that_was_cut_off_is_refused_by_its_digest(machine: Machine, size: int):
    digest = machine.upload("one")
    with (machine.paths.incoming / f"{digest}.tar").open("r+b") as stream:
        stream.truncate(size)
    with pytest.raises(ReleaseError, match="cut off or changed"):
        machine.release(digest)
    assert not (machine.paths.releases / digest).exists()


def test_a_release_that_was_never_uploaded_is_named(machine: Machine):
    with pytest.raises(ReleaseError, match="cafe00000000 is neither kept"):
        machine.release("cafe00000000")


def test_five_releases_are_kept_and_one_that_was_rolled_back_to_counts_as_new(machine: Machine):
    digests = machine.released(*"01234")
    machine.release(digests[0])
    digests.append(machine.upload("5"))
    machine.release(digests[5])
    kept = {path.name for path in machine.paths.releases.iterdir()}
    assert kept == {digests[0], *digests[2:]}
    assert [path.name for path in machine.paths.instances.iterdir()] == list(machine.active)
    assert not list(machine.paths.incoming.iterdir())


def test_the_packages_of_kept_releases_stay_and_those_of_others_go(machine: Machine):
    digests = machine.released(*"012345")
    digests.append(machine.upload("6", needs="flask==6"))
    machine.release(digests[6])
    assert set(machine.paths.venvs.iterdir()) == {machine.venv(f"flask=={number}") for number in range(2, 7)}
    assert {path.name for path in machine.paths.venv_links.iterdir()} == set(digests[2:])


def test_an_instance_that_still_finishes_requests_keeps_its_packages_whatever_they_would_be_called_now(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    machine.release(machine.upload("one", needs="flask==1"))
    old = next(iter(machine.active))
    (machine.paths.venv_links / old.partition("-")[0]).unlink()
    monkeypatch.setattr(web, "retire", lambda name: None)
    machine.release(machine.upload("two", needs="flask==2"))
    assert set(machine.paths.venvs.iterdir()) == {machine.venv("flask==1"), machine.venv("flask==2")}


def test_what_a_killed_removal_left_is_no_release_and_is_cleared(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    digests = machine.released(*"01234")
    digests.append(machine.upload("5"))

    def killed_while_removing(folder: Path, **_: object) -> None:
        if folder.parent == machine.paths.releases and "partial" not in folder.name:
            raise SystemError

    with monkeypatch.context() as patch:
        patch.setattr(release.files.shutil, "rmtree", killed_while_removing)
        with pytest.raises(SystemError):
            machine.release(digests[5])
    assert sorted(serving.kept(machine.paths)) == sorted(digests[1:])
    machine.release(digests[5])
    assert not list(machine.paths.releases.glob(".*"))


def test_the_upload_of_a_failed_release_stays_for_the_next_try_and_goes_once_it_is_old(machine: Machine):
    machine.refuse["start"] = "no such luck"
    failed: list[str] = []
    for age in range(11):
        failed.append(digest := machine.upload(str(age)))
        os.utime(machine.paths.incoming / f"{digest}.tar", (1000 + age, 1000 + age))
        with pytest.raises(ReleaseError):
            machine.release(digest)
    machine.refuse.clear()
    machine.release(machine.upload("good"))
    assert {path.stem for path in machine.paths.incoming.iterdir()} == set(failed[2:])


def test_an_older_host_program_is_removed_and_the_configured_one_stays(machine: Machine):
    digest = machine.upload("one")
    for name in ("host-old.pyz", "host-new.pyz"):
        (machine.paths.incoming / name).touch()
    machine.paths.program.symlink_to(machine.paths.incoming / "host-new.pyz")
    machine.release(digest)
    assert [path.name for path in machine.paths.incoming.iterdir()] == ["host-new.pyz"]


def test_without_room_a_release_is_refused_before_anything_is_touched(machine: Machine):
    machine.disk.f_bavail = 10
    digest = machine.upload("one")
    with pytest.raises(ReleaseError, match=r"needs 130 MB and \d+ files, .* nothing was changed"):
        machine.release(digest)
    assert not list(machine.paths.releases.iterdir()) if machine.paths.releases.exists() else True
    assert machine.calls == []


def test_without_inodes_a_release_is_refused_and_where_none_are_counted_it_is_not(machine: Machine):
    machine.disk.f_favail = 10
    digest = machine.upload("one")
    with pytest.raises(ReleaseError, match="10 files free"):
        machine.release(digest)
    machine.disk.f_files = machine.disk.f_favail = 0
    machine.release(digest)


def test_packages_that_a_kept_release_has_need_no_room(machine: Machine):
    machine.release(machine.upload("one"))
    machine.disk.f_bavail = 20_000_000 // 4096
    machine.release(machine.upload("two"))
    with pytest.raises(ReleaseError, match="no room"):
        machine.release(machine.upload("three", needs="django"))


def test_room_for_packages_is_needed_when_their_lock_has_changed_and_the_list_beside_it_has_not(machine: Machine):
    project = '[project]\nname = "shop"\n'
    machine.release(machine.upload("one", uv_lock="version = 1\n", pyproject_toml=project))
    machine.disk.f_bavail = 20_000_000 // 4096
    machine.release(machine.upload("two", uv_lock="version = 1\n", pyproject_toml=project))
    changed = machine.upload("three", uv_lock="version = 2\n", pyproject_toml=project)
    with pytest.raises(ReleaseError, match="no room"):
        machine.release(changed)
