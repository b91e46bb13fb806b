"""The releases, packages and uploads that a server keeps, and the disk space that a release needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from host import deployment, files, state
from host.errors import ReleaseError
from tests.unit.host_server import FakeServer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    return FakeServer(tmp_path, monkeypatch)


@pytest.mark.parametrize("size", [0, 700, 1024])
def test_an_incomplete_upload_is_refused_because_its_digest_differs(server: FakeServer, size: int):
    digest = server.upload("one")
    with server.paths.tarball(digest).open("r+b") as stream:
        stream.truncate(size)
    # The state has this upload, so `up` alone wouldn't repeat it.
    with pytest.raises(ReleaseError, match=r"cut off or changed; .* --replace '\*\*-artifact'"):
        server.release(digest)
    assert not (server.paths.releases / digest).exists()


def test_the_error_names_a_release_that_was_never_uploaded(server: FakeServer):
    with pytest.raises(ReleaseError, match="cafe00000000 is neither kept"):
        server.release("cafe00000000")


def test_host_programs_that_the_server_does_not_use_are_removed(server: FakeServer):
    paths = server.paths
    # An earlier version also uploaded host programs to the folder of releases.
    for folder in (paths.incoming, paths.program_uploads, paths.programs):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("host-1.pyz", "host-2.pyz", "host-2.pyz.new"):
            (folder / name).touch()
    paths.host_program.symlink_to(paths.programs / "host-2.pyz")
    server.release(server.upload("one"))
    kept = sorted(
        program
        for folder in (paths.incoming, paths.program_uploads, paths.programs)
        for program in folder.glob("host-*")
    )
    assert kept == [paths.program_uploads / "host-2.pyz", paths.programs / "host-2.pyz"]


def test_a_link_among_the_uploads_is_removed_and_not_followed(server: FakeServer, tmp_path: Path):
    server.paths.incoming.mkdir(parents=True, exist_ok=True)
    for number in range(11):
        (server.paths.incoming / f"{number:012x}.tar").symlink_to(tmp_path / "missing")
    server.release(server.upload("one"))
    assert len(list(server.paths.incoming.iterdir())) == 9


def test_folders_among_the_uploads_dont_stop_a_release(server: FakeServer):
    for name in (*(f"{number:012x}.tar" for number in range(11)), "host-x.pyz"):
        (server.paths.incoming / name / "more").mkdir(parents=True)
    server.release(server.upload("one"))
    assert len(list(server.paths.incoming.iterdir())) == 9


def test_an_upload_that_is_a_link_is_refused_before_its_target_is_read(server: FakeServer):
    digest = server.upload("one")
    upload = server.paths.tarball(digest)
    upload.rename(upload.with_name("elsewhere"))
    upload.symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        server.release(digest)


def test_five_releases_are_kept_and_the_target_of_a_rollback_counts_as_the_newest(server: FakeServer):
    digests = server.release_pages(*"01234")
    server.release(digests[0])
    digests.append(server.upload("5"))
    server.release(digests[5])
    names = {path.name for path in server.paths.releases.iterdir()}
    assert names == {digests[0], *digests[2:]}
    assert [path.name for path in server.paths.deployments.iterdir()] == list(server.active)
    assert not list(server.paths.incoming.iterdir())


def test_only_the_packages_of_kept_releases_stay(server: FakeServer):
    digests = server.release_pages(*"012345")
    digests.append(server.upload("6", requirements="flask==6"))
    server.release(digests[6])
    assert set(server.paths.venvs.iterdir()) == {server.venv(f"flask=={number}") for number in range(2, 7)}
    assert {path.name for path in server.paths.venv_links.iterdir()} == set(digests[2:])


def test_the_packages_of_a_draining_deployment_stay_also_without_a_link_to_them(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    server.release(server.upload("one", requirements="flask==1"))
    old = next(iter(server.active))
    (server.paths.venv_links / old.partition("-")[0]).unlink()
    monkeypatch.setattr(deployment, "drain", lambda name: None)
    server.release(server.upload("two", requirements="flask==2"))
    assert set(server.paths.venvs.iterdir()) == {server.venv("flask==1"), server.venv("flask==2")}


def test_a_folder_that_a_killed_run_has_half_removed_is_no_release_and_is_removed_later(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    digests = server.release_pages(*"01234")
    digests.append(server.upload("5"))

    def die_while_removing(folder: Path, **_: object) -> None:
        if folder.parent == server.paths.releases and "partial" not in folder.name:
            raise SystemError

    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "rmtree", die_while_removing)
        with pytest.raises(SystemError):
            server.release(digests[5])
    assert sorted(state.kept_releases(server.paths)) == sorted(digests[1:])
    server.release(digests[5])
    assert not list(server.paths.releases.glob(".*"))


def test_the_upload_of_a_failed_release_stays_for_another_attempt_until_it_is_old(server: FakeServer):
    server.errors["start"] = "a fault"
    failed: list[str] = []
    for age in range(11):
        failed.append(digest := server.upload(str(age)))
        os.utime(server.paths.tarball(digest), (1000 + age, 1000 + age))
        with pytest.raises(ReleaseError):
            server.release(digest)
    server.errors.clear()
    server.release(server.upload("good"))
    assert {path.stem for path in server.paths.incoming.iterdir()} == set(failed[2:])


def test_old_host_programs_are_removed_and_the_configured_one_stays(server: FakeServer):
    digest = server.upload("one")
    for name in ("host-old.pyz", "host-new.pyz"):
        (server.paths.incoming / name).touch()
    server.paths.host_program.symlink_to(server.paths.incoming / "host-new.pyz")
    server.release(digest)
    assert [path.name for path in server.paths.incoming.iterdir()] == ["host-new.pyz"]


def test_without_disk_space_a_release_is_refused_before_anything_is_changed(server: FakeServer):
    server.disk.f_bavail = 10
    digest = server.upload("one")
    with pytest.raises(ReleaseError, match=r"needs 130 MB and \d+ files, .* nothing was changed"):
        server.release(digest)
    assert not list(server.paths.releases.iterdir()) if server.paths.releases.exists() else True
    assert server.calls == []


def test_without_inodes_a_release_is_refused_unless_the_file_system_counts_none(server: FakeServer):
    server.disk.f_favail = 10
    digest = server.upload("one")
    with pytest.raises(ReleaseError, match="10 files free"):
        server.release(digest)
    server.disk.f_files = server.disk.f_favail = 0
    server.release(digest)


def test_packages_that_are_already_installed_need_no_disk_space(server: FakeServer):
    server.release(server.upload("one"))
    server.disk.f_bavail = 20_000_000 // 4096
    server.release(server.upload("two"))
    with pytest.raises(ReleaseError, match="no room"):
        server.release(server.upload("three", requirements="django"))


def test_packages_need_disk_space_when_only_their_lock_has_changed(server: FakeServer):
    project = '[project]\nname = "shop"\ndynamic = ["dependencies"]\n'
    server.release(server.upload("one", uv_lock="version = 1\n", pyproject_toml=project))
    server.disk.f_bavail = 20_000_000 // 4096
    server.release(server.upload("two", uv_lock="version = 1\n", pyproject_toml=project))
    changed = server.upload("three", uv_lock="version = 2\n", pyproject_toml=project)
    with pytest.raises(ReleaseError, match="no room"):
        server.release(changed)
