"""The move of an app's data to a volume, and runs that fail or are killed at any step."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from host import data_move, files, volume
from host.errors import ReleaseError
from tests.unit.volume_server import DATA, VolumeServer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VolumeServer:
    return VolumeServer(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "step",
    ["before write_unit", "after write_unit", "before copy", "after copy", "before _complete", "after _complete"],
)
def test_a_run_that_was_killed_needs_no_repair(server: VolumeServer, step: str):
    server.run_app()
    server.dies_at = step
    with pytest.raises(KeyboardInterrupt):
        server.mount()
    server.dies_at = ""
    server.mount()
    assert server.names(server.paths.volume_app_home) == DATA
    assert server.names(server.paths.volume) == ["app", *(f"app/{name}" for name in DATA)]
    assert server.is_running
    assert not server.paths.volume_record.exists()


def fail_if(condition: Callable[[Path], bool]) -> Callable[[Path], None]:
    def fail(folder: Path) -> None:
        if condition(folder):
            raise subprocess.CalledProcessError(1, ["sync", str(folder)], stderr="Input/output error")

    return fail


@pytest.mark.parametrize("has_data", [True, False])
def test_an_error_after_the_copy_was_renamed_does_not_start_the_app_on_an_empty_folder(
    server: VolumeServer, has_data: bool
):
    server.run_app()
    if not has_data:
        files.remove_tree(server.paths.app_home)
    server.sync = fail_if(lambda folder: folder == server.paths.volume_app_home)
    with pytest.raises(
        ReleaseError, match=r"is on the volume, (?s:.*)can't be written to the disk(?s:.*)\nthe app doesn't run"
    ) as error:
        server.mount()
    assert "`make up`" in str(error.value)
    assert not server.is_running
    assert volume.is_configured(server.paths)
    # The next run can't write to the disk either: the app doesn't start then, too.
    if has_data:
        with pytest.raises(ReleaseError, match="is on the volume"):
            server.mount()
        assert not server.is_running
    server.sync = lambda _: None
    server.mount()
    assert server.names(server.paths.volume_app_home) == (DATA if has_data else [])
    assert server.is_running


def test_an_error_before_the_copy_was_renamed_starts_the_app_with_its_data(server: VolumeServer):
    server.run_app()
    server.sync = fail_if(lambda folder: folder == server.paths.volume / "app.partial")
    with pytest.raises(ReleaseError, match="can't be written to the disk"):
        server.mount()
    assert server.names(server.paths.app_home) == DATA
    assert server.is_running
    assert not volume.is_configured(server.paths)


def test_a_new_folder_that_cannot_be_made_starts_the_app_again(server: VolumeServer):
    server.run_app()
    files.remove_tree(server.paths.app_home)
    server.paths.app_home.mkdir()
    server.sync = fail_if(lambda _: True)
    with pytest.raises(ReleaseError, match="can't be written to the disk"):
        server.mount()
    assert server.is_running
    assert not volume.is_configured(server.paths)


def test_files_that_the_app_writes_while_it_stops_move_too(server: VolumeServer):
    server.run_app()
    files.remove_tree(server.paths.app_home)
    server.paths.app_home.mkdir()
    server.while_it_stops = lambda: (server.paths.app_home / "last.txt").touch()
    server.mount()
    assert server.names(server.paths.volume_app_home) == ["last.txt"]


def test_files_that_the_app_writes_while_it_stops_are_not_hidden_by_the_data_of_the_volume(server: VolumeServer):
    server.run_app()
    files.remove_tree(server.paths.app_home)
    server.paths.app_home.mkdir()
    (server.paths.volume_app_home / "other").mkdir(parents=True)
    server.while_it_stops = lambda: (server.paths.app_home / "last.txt").touch()
    with pytest.raises(ReleaseError, match="both the volume and this server"):
        server.mount()
    assert server.names(server.paths.app_home) == ["last.txt"]
    assert server.is_running


def test_a_release_that_does_not_start_again_does_not_fail_the_mount(
    server: VolumeServer, capsys: pytest.CaptureFixture[str]
):
    server.run_app()
    server.start_fails = True
    server.mount()
    assert "the app was stopped, and doesn't start again: the app doesn't start" in capsys.readouterr().out
    assert server.paths.app_home in server.mounted


def test_a_release_that_does_not_start_again_does_not_hide_why_the_move_failed(server: VolumeServer):
    server.run_app()
    server.start_fails = True
    server.sync = fail_if(lambda _: True)
    with pytest.raises(ReleaseError, match="can't be written to the disk"):
        server.mount()


def test_after_a_failed_copy_the_app_runs_as_before(server: VolumeServer, monkeypatch: pytest.MonkeyPatch):
    server.run_app()

    def fail(*_: object) -> None:
        raise ReleaseError("the copy on the volume differs")

    monkeypatch.setattr(data_move, "copy", fail)
    with pytest.raises(ReleaseError, match="differs"):
        server.mount()
    assert server.names(server.paths.app_home) == DATA
    assert server.is_running
    assert not volume.is_configured(server.paths)


def test_data_that_does_not_fit_is_refused_before_the_app_is_stopped(
    server: VolumeServer, monkeypatch: pytest.MonkeyPatch
):
    server.run_app()
    monkeypatch.setattr(data_move.shutil, "disk_usage", lambda _: os.statvfs_result and type("Usage", (), {"free": 1}))
    with pytest.raises(ReleaseError, match="pulumi config set storage"):
        server.mount()
    assert server.is_running


def test_a_file_that_the_app_deletes_while_its_data_is_measured_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a.txt").write_text("a")
    size = data_move.size_of(tmp_path)
    walk = os.walk

    def walk_before(folder: Path) -> object:
        for parent, names, others in walk(folder):
            yield parent, names, [*others, "deleted.txt"]

    monkeypatch.setattr(data_move.os, "walk", walk_before)
    assert data_move.size_of(tmp_path) == size


def test_data_that_another_process_uses_is_not_moved(server: VolumeServer):
    server.run_app()
    server.users = ["sqlite3 (812)"]
    with pytest.raises(ReleaseError, match=r"can't be moved, because it is in use by sqlite3 \(812\)"):
        server.mount()
    assert server.names(server.paths.app_home) == DATA
    assert server.is_running
    assert not volume.is_configured(server.paths)


def test_a_volume_with_files_beside_the_folder_of_the_app_is_refused(server: VolumeServer):
    server.run_app()
    for name in ("lost+found", "app.partial", "media"):
        (server.paths.volume / name).mkdir()
    with pytest.raises(ReleaseError, match=r"aren't in its folder app: media\n.*sudo mv") as error:
        server.mount()
    assert "lost+found" not in str(error.value)
    assert server.is_running
    # Files of the operator don't matter beside the data of an app.
    server.paths.app_home.rename(server.paths.volume_app_home)
    server.mount()
    assert server.names(server.paths.volume_app_home) == DATA


def test_data_on_both_sides_is_refused_and_nothing_is_hidden(server: VolumeServer):
    server.run_app()
    (server.paths.volume_app_home / "other").mkdir(parents=True)
    with pytest.raises(ReleaseError, match=r"both the volume and this server's .* have data"):
        server.mount()
    assert server.names(server.paths.app_home) == DATA
    assert server.is_running


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda copy: (copy / "a").write_text("b"), "a: "),
        (lambda copy: (copy / "a").unlink(), "a is only in the original"),
        (lambda copy: (copy / "new").touch(), "new is only in the copy"),
        (lambda copy: (copy / "a").chmod(0o600), "the kind or the mode"),
        (lambda copy: ((copy / "link").unlink(), (copy / "link").symlink_to("b")), "the target of the link"),
    ],
    ids=["content", "missing", "additional", "mode", "link"],
)
def test_a_copy_that_differs_is_found(change: Callable[[Path], object], words: str, tmp_path: Path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    (source / "a").write_text("a")
    (source / "link").symlink_to("a")
    data_move.copy(source, copy)
    assert data_move.first_difference(source, copy) is None
    change(copy)
    assert words in (data_move.first_difference(source, copy) or "")
