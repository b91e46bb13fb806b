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
)
from tests.plugin.sshd import Sshd

# For what must not dial: nobody listens there.
DEAD = secret({"host": "127.0.0.1", "port": 1, "user": "root", "dialErrorLimit": 0, "perDialTimeout": 1})


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def _inputs(sshd: Sshd, source: dict[str, Any], remote_path: Path) -> dict[str, Any]:
    return {"connection": secret(sshd.connection()), "source": source, "remotePath": str(remote_path)}


def _copy(plugin: Plugin, sshd: Sshd, source: dict[str, Any], remote_path: Path) -> None:
    plugin.create(COPY, _inputs(sshd, source, remote_path))


def _tree(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_a_file_becomes_the_remote_path(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    (here / "a").write_text("content")
    inputs = _inputs(sshd, asset(here / "a"), there / "b")
    created = plugin.create(COPY, inputs)
    assert _tree(there) == {"b": "content"}
    assert created.state == inputs
    assert is_secret(created.state["connection"])
    assert len(created.id) == 8


def test_a_file_goes_into_a_folder(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    (here / "a").write_text("content")
    _copy(plugin, sshd, asset(here / "a"), there)
    assert _tree(there) == {"a": "content"}


def test_a_longer_file_is_overwritten_whole(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    (here / "a").write_text("short")
    (there / "b").write_text("much longer than that")
    _copy(plugin, sshd, asset(here / "a"), there / "b")
    assert _tree(there) == {"b": "short"}


def test_missing_parents_are_made(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    (here / "a").write_text("content")
    _copy(plugin, sshd, asset(here / "a"), there / "x/y/b")
    assert _tree(there) == {"x/y/b": "content"}


def test_a_large_binary_file_arrives_whole(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    content = os.urandom(5_000_001)
    (here / "a").write_bytes(content)
    _copy(plugin, sshd, asset(here / "a"), there / "b")
    assert (there / "b").read_bytes() == content


def test_an_empty_file_arrives_too(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    (here / "a").touch()
    _copy(plugin, sshd, asset(here / "a"), there / "b")
    assert _tree(there) == {"b": ""}


def _fill(folder: Path) -> None:
    (folder / "sub/deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "top").write_text("1")
    (folder / "sub/deep/low").write_text("2")


CONTENT = {"top": "1", "sub/deep/low": "2"}


@pytest.mark.parametrize(
    ("slash", "target", "arrives_in"),
    [
        pytest.param("", "", "here", id="a folder into a folder"),
        pytest.param("/", "", "", id="its content into a folder"),
        pytest.param("", "new/er", "new/er/here", id="a folder into a new folder"),
        pytest.param("/", "new/er", "new/er", id="its content into a new folder"),
    ],
)
def test_folders_are_copied_with_all_that_is_in_them(
    plugin: Plugin, sshd: Sshd, here: Path, there: Path, slash: str, target: str, arrives_in: str
) -> None:
    _fill(here)
    _copy(plugin, sshd, archive(f"{here}{slash}"), there / target)
    assert _tree(there / arrives_in) == CONTENT
    assert (there / arrives_in / "empty").is_dir()


def test_a_folder_is_laid_over_what_is_there(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    _fill(here)
    (there / "top").write_text("old")
    (there / "other").write_text("stays")
    _copy(plugin, sshd, archive(f"{here}/"), there)
    assert _tree(there) == {**CONTENT, "other": "stays"}


def test_a_folder_cannot_take_the_place_of_a_file(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    _fill(here)
    (there / "file").write_text("stays")
    with pytest.raises(PluginError):
        _copy(plugin, sshd, archive(f"{here}/"), there / "file")
    assert _tree(there) == {"file": "stays"}


def test_a_link_to_a_file_is_copied_as_the_file(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    (here / "a").write_text("content")
    (here / "link").symlink_to("a")
    _copy(plugin, sshd, archive(f"{here}/"), there)
    assert _tree(there) == {"a": "content", "link": "content"}
    assert not (there / "link").is_symlink()


def test_a_link_to_a_folder_is_an_error(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    (here / "folder").mkdir()
    (here / "link").symlink_to("folder")
    with pytest.raises(PluginError, match="link"):
        _copy(plugin, sshd, archive(f"{here}/"), there)


def test_a_fifo_is_an_error_and_not_waited_for(ours: None, plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    os.mkfifo(here / "fifo")
    with pytest.raises(PluginError, match="not a regular file"):
        _copy(plugin, sshd, archive(f"{here}/"), there)


def test_an_archive_file_is_not_unpacked(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    (here / "a.tgz").write_bytes(b"not really an archive")
    _copy(plugin, sshd, archive(here / "a.tgz"), there / "b.tgz")
    assert _tree(there) == {"b.tgz": "not really an archive"}


def test_a_text_becomes_a_file(plugin: Plugin, sshd: Sshd, there: Path) -> None:
    _copy(plugin, sshd, text_asset("grüße\n"), there / "new/text")
    assert _tree(there) == {"new/text": "grüße\n"}


def test_a_secret_text_is_copied_and_stays_secret(plugin: Plugin, sshd: Sshd, there: Path) -> None:
    inputs = _inputs(sshd, secret(text_asset("hidden")), there / "text")
    assert plugin.create(COPY, inputs).state["source"] == secret(text_asset("hidden"))
    assert _tree(there) == {"text": "hidden"}


def test_a_text_needs_the_name_of_a_file(plugin: Plugin, sshd: Sshd, there: Path) -> None:
    with pytest.raises(PluginError, match="remotePath must be a file path"):
        _copy(plugin, sshd, text_asset("x"), there)


def test_a_missing_source_is_an_error(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    with pytest.raises(PluginError, match="no-such-file"):
        _copy(plugin, sshd, asset(here / "no-such-file"), there / "b")
    assert _tree(there) == {}


def test_a_place_that_cannot_be_written_is_an_error(plugin: Plugin, sshd: Sshd, here: Path) -> None:
    (here / "a").write_text("content")
    with pytest.raises(PluginError, match="/proc/nowhere"):
        _copy(plugin, sshd, asset(here / "a"), Path("/proc/nowhere/a"))


def test_a_full_disk_is_an_error(plugin: Plugin, sshd: Sshd, here: Path) -> None:
    (here / "a").write_bytes(bytes(100_000))
    with pytest.raises(PluginError, match="/dev/full"):
        _copy(plugin, sshd, asset(here / "a"), Path("/dev/full"))
    assert Path("/dev/full").is_char_device(), "what isn't a file stays"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_what_arrived_in_part_is_taken_away_from_a_full_disk(
    plugin: Plugin, sshd: Sshd, here: Path, there: Path
) -> None:
    (here / "a").write_bytes(bytes(1_000_000))
    there.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", there], check=True)
    try:
        with pytest.raises(PluginError, match="failed to write"):
            _copy(plugin, sshd, asset(here / "a"), there / "a")
        assert list(there.iterdir()) == []
    finally:
        subprocess.run(["umount", there], check=True)


def test_a_dead_server_is_an_error(plugin: Plugin, here: Path) -> None:
    (here / "a").write_text("content")
    with pytest.raises(PluginError, match="after 0 failed attempts"):
        plugin.create(COPY, {"connection": DEAD, "source": asset(here / "a"), "remotePath": "/x"})


def test_update_copies_other_content(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    (here / "a").write_text("new")
    old = _inputs(sshd, asset(here / "a", "1"), there / "b")
    new = _inputs(sshd, asset(here / "a", "2"), there / "b")
    assert plugin.update(COPY, old, new) == new
    assert _tree(there) == {"b": "new"}


def test_update_copies_to_another_place_and_leaves_the_old(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    (here / "a").write_text("x")
    (there / "b").write_text("x")
    plugin.update(COPY, _inputs(sshd, asset(here / "a"), there / "b"), _inputs(sshd, asset(here / "a"), there / "c"))
    assert _tree(there) == {"b": "x", "c": "x"}


def test_update_of_the_connection_alone_copies_and_dials_nothing(plugin: Plugin, sshd: Sshd) -> None:
    old = _inputs(sshd, asset("/a"), Path("/x"))
    new = {**old, "connection": DEAD}
    assert plugin.update(COPY, old, new) == new


def test_deleting_a_copy_leaves_the_file_and_dials_nothing(plugin: Plugin, there: Path) -> None:
    (there / "b").write_text("stays")
    plugin.delete(COPY, {"connection": DEAD, "source": asset("/a"), "remotePath": str(there / "b")})
    assert _tree(there) == {"b": "stays"}


def test_the_older_copy_copies_one_file(plugin: Plugin, sshd: Sshd, here: Path, there: Path) -> None:
    (here / "a").write_text("content")
    inputs = {
        "connection": secret(sshd.connection()),
        "localPath": str(here / "a"),
        "remotePath": str(there / "b"),
    }
    assert plugin.create(COPY_FILE, inputs).state == inputs
    assert _tree(there) == {"b": "content"}
