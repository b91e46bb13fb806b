"""The sentences for an app that can't write a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.explain import explain
from host.read_only import outside_of_a_build

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


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("db = sqlite3.connect('shop.db')\n", "shop.db"),
        ("engine = create_engine('sqlite:///./data/shop.db')\n", "data/shop.db"),
        ("url = 'sqlite+aiosqlite:///shop.sqlite3'\n", "shop.sqlite3"),
        ("url = 'sqlite:////srv/shop.db'\n", "<its path>"),
        ("one = 'sqlite:///a.db'\ntwo = 'sqlite:///b.db'\n", "<its path>"),
    ],
)
def test_a_database_that_the_app_names_is_linked_by_its_path(app: Path, source: str, path: str):
    (app / "main.py").write_text(source)
    assert f"'linkedPaths[0]' {path} (" in explain("sqlite3.OperationalError: unable to open database file", app)


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


def test_paths_that_python_shows_as_an_object_are_read():
    for path in ("PosixPath('/opt/gantry/releases/3f2a/logs/a.log')", "b'/opt/gantry/releases/3f2a/logs/a.log'"):
        assert "'linkedPaths[0]' logs (" in explain(f"OSError: [Errno 30] Read-only file system: {path}")


def test_a_folder_that_git_has_not_kept_because_it_is_empty_can_be_linked(app: Path):
    line = "FileNotFoundError: [Errno 2] No such file or directory: '/opt/gantry/releases/3f2a/logs/app.log'"
    assert explain(line, app).endswith("keep the folder with: pulumi config set --path 'linkedPaths[0]' logs.")
    assert "linkedPaths" not in explain(line.replace("logs/", "shop/"), app)


@pytest.mark.parametrize(
    ("output", "path"),
    [
        (EROFS.format("/var/www/static"), "/var/www/static"),
        ("PermissionError: [Errno 13] Permission denied: '/srv/static'", "/srv/static"),
        ("mkdir: cannot create directory '/data': Read-only file system", "/data"),
    ],
)
def test_a_build_that_writes_outside_of_the_app_is_told_where_it_may_write(output: str, path: str):
    sentence = outside_of_a_build(output)
    assert f"and not to {path}: " in sentence
    assert "STATIC_ROOT = BASE_DIR" in sentence
    assert outside_of_a_build(EROFS.format("/opt/gantry/builds/3f2a-1/app/x")) == ""
