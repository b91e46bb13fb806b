from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components import app_data
from host.app_data import report


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    return tmp_path / "app"


def files(home: Path) -> int:
    return int(report(home, home.parent / "releases")["files"])


def test_files_links_and_empty_files_count_and_folders_sockets_and_pipes_do_not(home: Path):
    assert report(home, home) == {"files": 0, "bytes": 0, "on_volume": False}
    (home / "media/empty").mkdir(parents=True)
    os.mkfifo(home / "pipe")
    assert files(home) == 0
    (home / "media/picture").write_bytes(bytes(4000))
    (home / "media/nothing").touch()
    (home / "latest").symlink_to("media")
    assert report(home, home / "none") == {"files": 3, "bytes": 4000, "on_volume": False}


def test_what_a_kept_release_ships_is_no_loss_until_the_app_changes_it(home: Path):
    shipped = home.parent / "releases/3f2a91c0ffee/data/db.sqlite3"
    shipped.parent.mkdir(parents=True)
    shipped.write_text("seed")
    (home / "data").mkdir()
    (home / "data/db.sqlite3").write_text("seed")
    assert files(home) == 0
    (home / "data/db.sqlite3").write_text("seed and a row")
    assert files(home) == 1
    # A link that the app has put in place of a file isn't followed.
    (home / "data/db.sqlite3").unlink()
    (home / "data/db.sqlite3").symlink_to(shipped)
    assert files(home) == 1


def test_the_times_of_celery_beat_are_no_data_of_the_app(home: Path):
    (home / "celerybeat-schedule.db").write_text("times")
    assert files(home) == 0
    (home / "tasks").mkdir()
    (home / "tasks/celerybeat-schedule.db").write_text("the app's own")
    assert files(home) == 1


def test_the_files_of_a_volume_are_not_lost():
    assert report(Path("/proc"), Path("/none")) == {"files": 0, "bytes": 0, "on_volume": True}


def test_the_file_alone_is_a_program_for_servers_whose_host_program_is_older():
    program = app_data.SCRIPT.read_bytes()
    result = subprocess.run([sys.executable, "-I", "-"], input=program, capture_output=True, check=True)
    assert set(json.loads(result.stdout)) == {"files", "bytes", "on_volume"}
