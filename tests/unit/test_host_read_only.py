"""The sentences for an app that can't write a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.explain import explain

EROFS = "OSError: [Errno 30] Read-only file system: '{}'"
FOLDERS = (
    "/opt/gantry/releases/3f2a91c0ffee",
    "/opt/gantry/builds/3f2a91c0ffee-0123456789ab/app",
    "/opt/gantry/instances/3f2a91c0ffee-1b2c3d/app",
    "/opt/gantry/processes/3f2a91c0ffee-1b2c3d-worker-1/app",
    "/opt/gantry/release-phases/3f2a91c0ffee-1b2c3d",
)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "shop/data").mkdir(parents=True)
    (tmp_path / "shop/views.py").touch()
    return tmp_path


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_path_of_the_app_is_named_as_the_app_has_it_with_the_setting_and_the_folder_for_data(folder: str):
    sentence = explain(EROFS.format(f"{folder}/instance"))
    assert "The app writes to instance, and its folder is read-only" in sentence
    assert "pulumi config set --path 'linkedPaths[0]' instance " in sentence
    assert "below /var/lib/app" in sentence
    assert "/opt/gantry" not in sentence


@pytest.mark.parametrize(
    ("line", "linked"),
    [
        (EROFS.format("celerybeat-schedule"), "celerybeat-schedule"),
        (EROFS.format("media/2026/a.jpg"), "media"),
        (EROFS.format("shop/data/a.jpg"), "shop/data"),
        (EROFS.format("shop/cache.bin"), "shop/cache.bin"),
        (EROFS.format("db.sqlite3-journal"), "db.sqlite3"),
        ("Error: EROFS: read-only file system, open '/opt/gantry/releases/3f2a/cache/a'", "cache"),
        ("mkdir: cannot create directory \u2018uploads\u2019: Read-only file system", "uploads"),
        ("sh: 1: cannot create out.log: Read-only file system", "out.log"),
        ("/bin/bash: line 1: out.log: Read-only file system", "out.log"),
        ("./start.sh: line 3: logs/out.log: Read-only file system", "logs"),
        ("tee: out.log: Read-only file system", "out.log"),
        ("2026/11/28 10:00:00 open public/x: read-only file system", "public"),
        ("mkdir public: read-only file system", "public"),
        ('open("logs/uwsgi.log"): Read-only file system [core/logging.c line 288]', "logs"),
        ("Error: Read-only file system (os error 30)", "<its path>"),
        ("PermissionError: [Errno 13] Permission denied: '/opt/gantry/builds/3f2a-1/app/logs/a.log'", "logs"),
        ("sqlite3.OperationalError: unable to open database file", "<its path>"),
    ],
)
def test_the_path_to_link_is_a_folder_unless_that_has_code(app: Path, line: str, linked: str):
    assert f"'linkedPaths[0]' {linked} (" in explain(line, app)


def test_each_line_has_one_sentence():
    for line in (EROFS.format("a"), "Error: EROFS: read-only file system, open 'a'", "sh: 1: a: Read-only file system"):
        assert len(explain(line).splitlines()) == 1


def test_the_database_to_link_is_the_one_that_the_app_has(app: Path):
    line = "django.db.utils.OperationalError: attempt to write a readonly database"
    (app / "manage.py").touch()
    assert "'linkedPaths[0]' db.sqlite3 (" in explain(line, app)
    (app / "shop.db").touch()
    assert "'linkedPaths[0]' shop.db (" in explain(line, app)


def test_the_instance_folder_of_an_installed_flask_app_is_named_with_the_argument_that_moves_it():
    sentence = explain(EROFS.format("/opt/gantry/venvs/0123456789ab/var/shop-instance"))
    assert "Flask(__name__, instance_path='/var/lib/app/instance')" in sentence


def test_a_path_outside_of_the_app_can_not_be_linked():
    sentence = explain(EROFS.format("/data/shop.db"))
    assert sentence == "The app can't write to /data/shop.db: let it write to a path below /var/lib/app."
    assert explain("PermissionError: [Errno 13] Permission denied: '/etc/shadow'") == ""


@pytest.mark.parametrize("path", ["/var/log/shop.log", "/data", "/srv/media/a.png"])
def test_a_path_outside_of_the_app_gets_the_folder_that_stays(path: str):
    sentence = explain(f"PermissionError: [Errno 13] Permission denied: '{path}'")
    assert sentence == f"The app can't write to {path}: let it write to a path below /var/lib/app."
