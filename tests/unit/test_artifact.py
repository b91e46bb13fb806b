"""The tarball of an app: its bytes, permissions, links and name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from components.app.artifact import pack
from components.app.links import LinkError
from components.errors import UserError
from tests.packed_app import packed
from tests.unit.tarballs import members


def test_the_digest_is_the_same_on_every_computer(tmp_path: Path):
    app = tmp_path / "golden"
    app.mkdir()
    (app / "requirements.txt").write_text("flask==3.1.3\n")
    (app / "Procfile").write_text("web: gunicorn hello:app\n")
    (app / "hello.py").write_bytes("app = 'ü'\n".encode())
    assert hashlib.sha256(packed(app)).hexdigest()[:12] == "d40c7b0f5702"


def test_times_permissions_and_order_of_creation_dont_change_the_digest(app: Path, tmp_path: Path):
    before = packed(app)
    os.utime(app / "hello.py", (1, 1))
    (app / "hello.py").chmod(0o600)
    (app / "static").rename(app / "moved")
    (app / "moved").rename(app / "static")
    assert packed(app) == before


def test_an_edit_of_the_same_length_changes_the_file_time_so_that_browsers_fetch_it(app: Path):
    before = members(app)["static/style.css"].mtime
    (app / "static/style.css").write_text("b {}")
    assert members(app)["static/style.css"].mtime != before


def test_an_executable_stays_executable_and_only_its_owner_can_write_it(app: Path):
    (app / "run.sh").write_text("#!/bin/sh\n")
    (app / "run.sh").chmod(0o777)
    assert members(app)["run.sh"].mode == 0o755
    assert members(app)["hello.py"].mode == 0o644


def test_a_link_inside_the_app_is_kept_as_a_link(app: Path):
    (app / "latest.css").symlink_to("static/style.css")
    assert members(app)["latest.css"].linkname == "static/style.css"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "static/../../outside", "../app/hello.py"])
def test_a_link_that_leaves_the_app_is_refused_with_its_target(app: Path, target: str):
    (app / "link").symlink_to(target)
    with pytest.raises(LinkError, match=target):
        packed(app)


def test_a_link_with_an_absolute_target_in_the_app_gets_the_command_for_a_relative_one(app: Path):
    (app / "static/latest.css").symlink_to(app / "hello.py")
    with pytest.raises(LinkError, match=r"write a relative one with: ln -sfn \.\./hello\.py .*/static/latest\.css"):
        packed(app)


def test_a_pipe_in_the_app_is_refused_and_not_read(app: Path):
    os.mkfifo(app / "pipe")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        packed(app)


def test_only_the_ten_newest_tarballs_stay_on_this_computer(app: Path, tmp_path: Path):
    for number in range(12):
        (app / "hello.py").write_text(f"app = {number}\n")
        path = pack(app, tmp_path / "out").path
        assert path.exists()
        os.utime(path, (1000 + number, 1000 + number))
    assert len(list((tmp_path / "out").iterdir())) == 10


def test_a_tarball_is_named_by_its_digest_and_written_once(app: Path, tmp_path: Path):
    first = pack(app, tmp_path / "out")
    second = pack(app, tmp_path / "out")
    assert first == second
    assert first.path
    assert hashlib.sha256(first.path.read_bytes()).hexdigest().startswith(first.release)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{first.release}.tar"]
