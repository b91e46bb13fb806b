from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.client import (
    COPY,
    COPY_FILE,
    Plugin,
    PluginError,
    archive,
    asset,
    is_secret,
    secret,
    text_asset,
    with_all_members,
)
from tests.plugin.connections import UNREACHABLE
from tests.plugin.sshd import Sshd


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "local").mkdir()
    return tmp_path / "local"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "remote").mkdir()
    return tmp_path / "remote"


def _inputs(sshd: Sshd, source: dict[str, Any], remote_path: Path) -> dict[str, Any]:
    return {"connection": secret(sshd.connection()), "source": source, "remotePath": str(remote_path)}


def _answered(inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs as a plugin returns them."""
    return {**inputs, "source": with_all_members(inputs["source"])}


def _copy(plugin: Plugin, sshd: Sshd, source: dict[str, Any], remote_path: Path) -> None:
    plugin.create(COPY, _inputs(sshd, source, remote_path))


def _tree(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_a_file_is_copied_to_the_remote_path(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    (source / "a").write_text("content")
    inputs = _inputs(sshd, asset(source / "a"), target / "b")
    created = plugin.create(COPY, inputs)
    assert _tree(target) == {"b": "content"}
    assert created.state == _answered(inputs)
    assert is_secret(created.state["connection"])
    assert len(created.id) == 8


def test_a_file_is_copied_into_an_existing_folder(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    (source / "a").write_text("content")
    _copy(plugin, sshd, asset(source / "a"), target)
    assert _tree(target) == {"a": "content"}


def test_a_longer_remote_file_is_overwritten_completely(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    (source / "a").write_text("short")
    (target / "b").write_text("much longer than that")
    _copy(plugin, sshd, asset(source / "a"), target / "b")
    assert _tree(target) == {"b": "short"}


def test_missing_parent_folders_are_created(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    (source / "a").write_text("content")
    _copy(plugin, sshd, asset(source / "a"), target / "x/y/b")
    assert _tree(target) == {"x/y/b": "content"}


def test_a_large_binary_file_is_copied_completely(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    content = os.urandom(5_000_001)
    (source / "a").write_bytes(content)
    _copy(plugin, sshd, asset(source / "a"), target / "b")
    assert (target / "b").read_bytes() == content


def test_an_empty_file_is_copied(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    (source / "a").touch()
    _copy(plugin, sshd, asset(source / "a"), target / "b")
    assert _tree(target) == {"b": ""}


def _fill(folder: Path) -> None:
    (folder / "sub/deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "top").write_text("1")
    (folder / "sub/deep/low").write_text("2")


CONTENT = {"top": "1", "sub/deep/low": "2"}


@pytest.mark.parametrize(
    ("slash", "subpath", "copied_to"),
    [
        pytest.param("", "", "local", id="a folder into a folder"),
        pytest.param("/", "", "", id="its contents into a folder"),
        pytest.param("", "new/er", "new/er/local", id="a folder into a new folder"),
        pytest.param("/", "new/er", "new/er", id="its contents into a new folder"),
    ],
)
def test_folders_are_copied_with_their_contents(
    plugin: Plugin, sshd: Sshd, source: Path, target: Path, slash: str, subpath: str, copied_to: str
) -> None:
    _fill(source)
    _copy(plugin, sshd, archive(f"{source}{slash}"), target / subpath)
    assert _tree(target / copied_to) == CONTENT
    assert (target / copied_to / "empty").is_dir()


def test_other_files_in_the_remote_folder_stay(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    _fill(source)
    (target / "top").write_text("old")
    (target / "other").write_text("stays")
    _copy(plugin, sshd, archive(f"{source}/"), target)
    assert _tree(target) == {**CONTENT, "other": "stays"}


def test_a_folder_does_not_replace_a_file(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    _fill(source)
    (target / "file").write_text("stays")
    with pytest.raises(PluginError):
        _copy(plugin, sshd, archive(f"{source}/"), target / "file")
    assert _tree(target) == {"file": "stays"}


def test_a_link_to_a_file_is_copied_as_the_file(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    (source / "a").write_text("content")
    (source / "link").symlink_to("a")
    _copy(plugin, sshd, archive(f"{source}/"), target)
    assert _tree(target) == {"a": "content", "link": "content"}
    assert not (target / "link").is_symlink()


def test_a_link_to_a_folder_is_an_error(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    (source / "folder").mkdir()
    (source / "link").symlink_to("folder")
    with pytest.raises(PluginError, match="link"):
        _copy(plugin, sshd, archive(f"{source}/"), target)


def test_a_fifo_is_an_error_at_once(
    offline_plugin_only: None, plugin: Plugin, sshd: Sshd, source: Path, target: Path
) -> None:
    os.mkfifo(source / "fifo")
    with pytest.raises(PluginError, match="not a regular file"):
        _copy(plugin, sshd, archive(f"{source}/"), target)


def test_an_archive_file_is_not_unpacked(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    (source / "a.tgz").write_bytes(b"not really an archive")
    _copy(plugin, sshd, archive(source / "a.tgz"), target / "b.tgz")
    assert _tree(target) == {"b.tgz": "not really an archive"}


def test_a_text_is_copied_to_a_file(plugin: Plugin, sshd: Sshd, target: Path) -> None:
    _copy(plugin, sshd, text_asset("grüße\n"), target / "new/text")
    assert _tree(target) == {"new/text": "grüße\n"}


def test_a_secret_text_is_copied_and_stays_secret(plugin: Plugin, sshd: Sshd, target: Path) -> None:
    inputs = _inputs(sshd, secret(text_asset("hidden")), target / "text")
    assert plugin.create(COPY, inputs).state["source"] == secret(with_all_members(text_asset("hidden")))
    assert _tree(target) == {"text": "hidden"}


def test_a_text_needs_the_name_of_a_file(plugin: Plugin, sshd: Sshd, target: Path) -> None:
    with pytest.raises(PluginError, match="remotePath must be a file path"):
        _copy(plugin, sshd, text_asset("x"), target)


def test_a_missing_source_is_an_error(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    with pytest.raises(PluginError, match="no-such-file"):
        _copy(plugin, sshd, asset(source / "no-such-file"), target / "b")
    assert _tree(target) == {}


def test_a_remote_path_that_cannot_be_written_is_an_error(plugin: Plugin, sshd: Sshd, source: Path) -> None:
    (source / "a").write_text("content")
    with pytest.raises(PluginError, match="/proc/nowhere"):
        _copy(plugin, sshd, asset(source / "a"), Path("/proc/nowhere/a"))


def test_a_full_disk_is_an_error(plugin: Plugin, sshd: Sshd, source: Path) -> None:
    (source / "a").write_bytes(bytes(100_000))
    with pytest.raises(PluginError, match="/dev/full"):
        _copy(plugin, sshd, asset(source / "a"), Path("/dev/full"))
    assert Path("/dev/full").is_char_device(), "the device was removed"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_an_incomplete_file_is_removed_from_a_full_disk(
    offline_plugin_only: None, plugin: Plugin, sshd: Sshd, source: Path, target: Path
) -> None:
    """The official plugin leaves the part that arrived."""
    (source / "a").write_bytes(bytes(1_000_000))
    target.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", target], check=True)
    try:
        with pytest.raises(PluginError, match="failed to write"):
            _copy(plugin, sshd, asset(source / "a"), target / "a")
        assert list(target.iterdir()) == []
    finally:
        subprocess.run(["umount", target], check=True)


def test_a_part_that_an_earlier_copy_left_is_overwritten(
    plugin: Plugin, sshd: Sshd, source: Path, target: Path
) -> None:
    """So the next copy doesn't need space beside the part."""
    (source / "a").write_text("the whole")
    (target / "a").write_text("the wh")
    part = (target / "a").stat().st_ino
    _copy(plugin, sshd, asset(source / "a"), target / "a")
    assert _tree(target) == {"a": "the whole"}
    assert (target / "a").stat().st_ino == part


def test_a_dead_server_is_an_error(plugin: Plugin, source: Path) -> None:
    (source / "a").write_text("content")
    with pytest.raises(PluginError, match="after 0 failed attempts"):
        plugin.create(COPY, {"connection": UNREACHABLE, "source": asset(source / "a"), "remotePath": "/x"})


def test_update_copies_other_content(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    (source / "a").write_text("new")
    old = _inputs(sshd, asset(source / "a", "1"), target / "b")
    new = _inputs(sshd, asset(source / "a", "2"), target / "b")
    assert plugin.update(COPY, old, new) == _answered(new)
    assert _tree(target) == {"b": "new"}


def test_update_copies_to_another_path_and_the_old_file_stays(
    plugin: Plugin, sshd: Sshd, source: Path, target: Path
) -> None:
    (source / "a").write_text("x")
    (target / "b").write_text("x")
    plugin.update(
        COPY,
        _inputs(sshd, asset(source / "a"), target / "b"),
        _inputs(sshd, asset(source / "a"), target / "c"),
    )
    assert _tree(target) == {"b": "x", "c": "x"}


def test_update_of_the_connection_alone_does_not_connect(plugin: Plugin, sshd: Sshd) -> None:
    old = _inputs(sshd, asset("/a"), Path("/x"))
    new = {**old, "connection": UNREACHABLE}
    assert plugin.update(COPY, old, new) == _answered(new)


def test_deleting_a_copy_does_not_connect_and_the_file_stays(plugin: Plugin, target: Path) -> None:
    (target / "b").write_text("stays")
    plugin.delete(COPY, {"connection": UNREACHABLE, "source": asset("/a"), "remotePath": str(target / "b")})
    assert _tree(target) == {"b": "stays"}


def test_the_older_copy_copies_one_file(plugin: Plugin, sshd: Sshd, source: Path, target: Path) -> None:
    (source / "a").write_text("content")
    inputs = {
        "connection": secret(sshd.connection()),
        "localPath": str(source / "a"),
        "remotePath": str(target / "b"),
    }
    assert plugin.create(COPY_FILE, inputs).state == inputs
    assert _tree(target) == {"b": "content"}
