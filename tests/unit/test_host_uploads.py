"""Uploads that were cut off: a full disk gets free again, and a part is never taken for the whole.

Pulumi's official command plugin leaves the part that arrived.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.server import host_program
from host import program, uploads
from host.errors import ReleaseError
from host.layers.machine import LEAST_BYTES
from host.paths import Paths
from tests.unit.host_server import FakeServer

CONTENT = b"x" * 1000
RELEASE = hashlib.sha256(CONTENT).hexdigest()[:12]


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A server whose disk is full."""
    paths = Paths(tmp_path)
    for folder in (paths.incoming, paths.program_uploads, paths.processes_now):
        folder.mkdir(parents=True)
    disk_has(monkeypatch, 0)
    return paths


def disk_has(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


def upload(paths: Paths, size: int) -> Path:
    """Writes the first ``size`` bytes of the release's tarball; returns its path."""
    tarball = paths.tarball(RELEASE)
    tarball.write_bytes(CONTENT[:size])
    return tarball


def hold(paths: Paths, file: Path) -> None:
    """Let a process have the file open."""
    descriptors = paths.processes_now / "7/fd"
    descriptors.mkdir(parents=True)
    (descriptors / "5").symlink_to(file)


@pytest.mark.parametrize("size", [0, 500, 999])
def test_a_full_disk_gets_the_space_of_an_upload_back_that_was_cut_off(
    paths: Paths, size: int, capsys: pytest.CaptureFixture[str]
):
    tarball = upload(paths, size)
    uploads.make_room(paths)
    assert not tarball.exists()
    assert capsys.readouterr().out == (
        f"deleted {tarball}: the disk is full, and this upload was cut off after {size} bytes\n"
    )


def test_a_complete_upload_stays_because_the_state_says_that_it_is_there(paths: Paths):
    tarball = upload(paths, 1000)
    uploads.make_room(paths)
    assert tarball.exists()


def test_an_upload_in_progress_stays(paths: Paths):
    tarball = upload(paths, 500)
    hold(paths, tarball)
    uploads.make_room(paths)
    assert tarball.exists()


def test_an_upload_that_arrives_meanwhile_stays(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    tarball = upload(paths, 500)

    def everyones(_paths: Paths) -> set[str]:
        upload(paths, 1000)
        return set()

    monkeypatch.setattr(uploads.open_files, "everyones", everyones)
    uploads.make_room(paths)
    assert tarball.read_bytes() == CONTENT


def test_without_a_full_disk_nothing_is_removed(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    tarball = upload(paths, 500)
    disk_has(monkeypatch, LEAST_BYTES)
    uploads.make_room(paths)
    assert tarball.exists()


def test_links_and_folders_among_the_uploads_are_not_followed(paths: Paths, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"stays")
    (paths.incoming / "aaaaaaaaaaaa.tar").symlink_to(elsewhere)
    (paths.incoming / "bbbbbbbbbbbb.tar/more").mkdir(parents=True)
    os.mkfifo(paths.incoming / "cccccccccccc.tar")
    uploads.make_room(paths)
    assert elsewhere.read_bytes() == b"stays"
    assert [entry.name for entry in paths.incoming.iterdir()] == ["bbbbbbbbbbbb.tar"]


def test_host_programs_that_were_cut_off_are_removed_from_a_full_disk_and_whole_ones_stay(paths: Paths):
    content = host_program.archive()
    whole = paths.host_program_upload(hashlib.sha256(content).hexdigest()[:12])
    whole.write_bytes(content)
    part = paths.host_program_upload("aaaaaaaaaaaa")
    part.write_bytes(content[:1000])
    renamed_later = whole.with_name(f"{whole.name}.partial")
    renamed_later.write_bytes(content)
    uploads.make_room(paths)
    assert list(paths.program_uploads.iterdir()) == [whole]


def test_a_part_of_a_host_program_never_becomes_roots_copy(paths: Paths):
    content = host_program.archive()
    uploaded, copy = paths.host_program_upload("aaaaaaaaaaaa"), Paths().host_program_copy("aaaaaaaaaaaa")
    for size in (0, 1000, len(content) // 2, len(content) - 1):
        uploaded.write_bytes(content[:size])
        assert not zipfile.is_zipfile(io.BytesIO(content[:size]))
        program.install(uploaded, str(copy), paths)
        assert not (paths.programs / copy.name).exists()


def test_a_release_removes_uploads_that_never_got_their_name_but_none_in_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    server = FakeServer(tmp_path, monkeypatch)
    digest = server.upload("one")
    for name in ("aaaaaaaaaaaa", "bbbbbbbbbbbb"):
        (server.paths.incoming / f"{name}.tar.partial").write_bytes(b"part")
    hold(server.paths, server.paths.incoming / "bbbbbbbbbbbb.tar.partial")
    server.release(digest)
    assert [entry.name for entry in server.paths.incoming.iterdir()] == ["bbbbbbbbbbbb.tar.partial"]


def test_a_failed_release_stays_kept_if_its_upload_is_only_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = FakeServer(tmp_path, monkeypatch)
    [kept, _] = server.release_pages("0", "1")
    # Another `up` began to upload it again, and the disk was full.
    server.paths.tarball(kept).write_bytes(b"part")
    server.errors["socket"] = "unhealthy"
    with pytest.raises(ReleaseError):
        server.release(kept)
    assert (server.paths.releases / kept).is_dir()
    assert server.page() == "1"
