from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from components.app.artifact import ArtifactError, pack, tarball
from components.app.dependencies import DependencyError
from components.app.procfile import ProcfileError
from components.app.web_command import WebCommandError
from components.errors import UserError


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "static").mkdir(parents=True)
    (folder / "requirements.txt").write_text("flask\n")
    (folder / "Procfile").write_text("web: gunicorn hello:app\n")
    (folder / "hello.py").write_text("app = None\n")
    (folder / "static/style.css").write_text("a {}")
    return folder


def members(app: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tarball(app))) as archive:
        return {entry.name: entry for entry in archive}


def test_the_digest_is_a_golden_value_that_no_machine_may_change(tmp_path: Path):
    app = tmp_path / "golden"
    app.mkdir()
    (app / "requirements.txt").write_text("flask==3.1.3\n")
    (app / "Procfile").write_text("web: gunicorn hello:app\n")
    (app / "hello.py").write_bytes("app = 'ü'\n".encode())
    assert hashlib.sha256(tarball(app)).hexdigest()[:12] == "d40c7b0f5702"


def test_owner_time_mode_bits_and_order_of_creation_leave_the_digest_alone(app: Path, tmp_path: Path):
    before = tarball(app)
    os.utime(app / "hello.py", (1, 1))
    (app / "hello.py").chmod(0o600)
    (app / "static").rename(app / "moved")
    (app / "moved").rename(app / "static")
    assert tarball(app) == before


def test_an_edit_of_the_same_length_changes_the_file_time_so_that_browsers_fetch_it(app: Path):
    before = members(app)["static/style.css"].mtime
    (app / "static/style.css").write_text("b {}")
    assert members(app)["static/style.css"].mtime != before


def test_an_executable_stays_executable_and_nothing_is_writable_by_others(app: Path):
    (app / "run.sh").write_text("#!/bin/sh\n")
    (app / "run.sh").chmod(0o777)
    assert members(app)["run.sh"].mode == 0o755
    assert members(app)["hello.py"].mode == 0o644


def test_gitignore_files_above_in_and_below_the_app_are_honoured_as_git_does(tmp_path: Path):
    repository = tmp_path / "repository"
    app = repository / "apps/shop"
    (app / "data/keep").mkdir(parents=True)
    (repository / ".git").mkdir()
    (repository / ".gitignore").write_text("*.log\n/apps/shop/secret.txt\nbuild/\n")
    (app / ".gitignore").write_text("data/*\n!data/keep\n!important.log\n")
    (app / "data/keep/.gitignore").write_text("*.tmp\n")
    for name in (
        "requirements.txt",
        "secret.txt",
        "a.log",
        "important.log",
        "data/x",
        "data/keep/y",
        "data/keep/z.tmp",
    ):
        (app / name).write_text("")
    (app / "Procfile").write_text("web: gunicorn a:b\n")
    (app / "build").mkdir()
    (app / "build/out").write_text("")
    kept = set(members(app))
    assert kept == {
        ".gitignore",
        "Procfile",
        "requirements.txt",
        "important.log",
        "data/keep/y",
        "data/keep/.gitignore",
    }


def test_a_gitignore_above_the_repository_counts_for_nothing(tmp_path: Path, app: Path):
    (tmp_path / ".gitignore").write_text("*\n")
    assert "hello.py" in members(app)


def test_git_caches_and_virtual_environments_never_travel(app: Path):
    for name in (".git/config", "__pycache__/hello.pyc", ".venv/bin/python", "env/pyvenv.cfg", "env/bin/python"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text("")
    (app / ".gitignore").write_text("!.*\n!env/**\n")
    assert not [name for name in members(app) if name.startswith((".git/", "__pycache__", ".venv", "env"))]


def test_what_is_packed_is_what_git_would_list_also_where_everything_is_ignored_first(tmp_path: Path):
    app = tmp_path / "app"
    (app / "shop/static").mkdir(parents=True)
    (app / "logs").mkdir()
    (app / ".gitignore").write_text("*\n!*/\n!*.py\n!Procfile\n!*.txt\n/logs/\n!.gitignore\n**/tmp*\n")
    for name in ("Procfile", "requirements.txt", "shop/__init__.py", "shop/static/a.css", "logs/x.py", "shop/tmp.py"):
        (app / name).write_text("flask\n" if name.endswith("txt") else "web: gunicorn shop:app\n")
    subprocess.run(["git", "init", "--quiet"], cwd=app, check=True)
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=app, capture_output=True, text=True, check=True).stdout
    assert set(members(app)) == set(listed.split())


def test_a_link_inside_the_app_is_kept_as_a_link(app: Path):
    (app / "latest.css").symlink_to("static/style.css")
    assert members(app)["latest.css"].linkname == "static/style.css"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "static/../../outside", "../app/hello.py"])
def test_a_link_that_leaves_the_app_is_refused_with_its_target(app: Path, target: str):
    (app / "link").symlink_to(target)
    with pytest.raises(ArtifactError, match=target):
        tarball(app)


@pytest.mark.parametrize(
    ("ignored", "reason"),
    [
        ("*.txt", r"no requirements\.txt .*files that \.gitignore excludes don't count"),
        ("hello.py\nProcfile", "no Procfile"),
    ],
)
def test_what_gitignore_excludes_is_not_there(app: Path, ignored: str, reason: str):
    (app / ".gitignore").write_text(ignored + "\n")
    with pytest.raises(UserError, match=reason):
        tarball(app)


@pytest.mark.parametrize("name", ["Procfile", "requirements.txt"])
def test_a_link_in_place_of_a_file_that_gantry_reads_is_refused(app: Path, name: str):
    (app / name).rename(app / "real")
    (app / name).symlink_to("real")
    with pytest.raises(ArtifactError, match="replace it by the file itself"):
        tarball(app)


@pytest.mark.parametrize("line", ["-e .", ".", "./lib", "lib @ file:lib"])
def test_a_package_of_the_apps_own_folder_is_refused_with_the_remedy(app: Path, line: str):
    (app / "requirements.txt").write_text(f"flask\n{line}\n")
    with pytest.raises(DependencyError, match="leave it out"):
        tarball(app)


def test_a_wheel_of_the_app_is_fine(app: Path):
    (app / "requirements.txt").write_text("./wheels/lib-1.0-py3-none-any.whl  # ours\n")
    assert "requirements.txt" in members(app)


def test_an_app_that_is_no_python_is_named_with_the_line(app: Path):
    (app / "Procfile").unlink()
    (app / "app.py").write_text("x = 1\ndef broken(:\n")
    with pytest.raises(WebCommandError, match=r"app\.py is not Python: line 2"):
        tarball(app)


def test_a_pipe_in_the_app_is_refused_and_not_read(app: Path):
    os.mkfifo(app / "pipe")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        tarball(app)


def test_an_app_without_requirements_is_refused_with_the_remedy(app: Path):
    (app / "requirements.txt").unlink()
    with pytest.raises(DependencyError, match=r"add a requirements\.txt"):
        tarball(app)


def test_an_app_may_have_a_lock_or_a_project_file_instead_but_not_one_that_stays_at_home(app: Path):
    (app / "requirements.txt").unlink()
    (app / "pyproject.toml").write_text('[project]\nname = "shop"\ndependencies = ["flask"]\n')
    assert "pyproject.toml" in members(app)
    (app / "uv.lock").write_text("version = 1\n")
    assert "uv.lock" in members(app)
    (app / ".gitignore").write_text("pyproject.toml\n")
    with pytest.raises(DependencyError, match=r"the app has uv\.lock, but no pyproject\.toml"):
        tarball(app)


def test_a_missing_procfile_is_made_from_the_app_that_flask_would_find(app: Path):
    (app / "Procfile").unlink()
    (app / "wsgi.py").write_text("from hello import app\n")
    with tarfile.open(fileobj=io.BytesIO(tarball(app))) as archive:
        stream = archive.extractfile("Procfile")
        assert stream and stream.read() == b"web: gunicorn wsgi:app\n"


def test_a_factory_is_called(app: Path):
    (app / "Procfile").unlink()
    (app / "app.py").write_text("def create_app():\n    pass\n")
    with tarfile.open(fileobj=io.BytesIO(tarball(app))) as archive:
        stream = archive.extractfile("Procfile")
        assert stream and stream.read() == b"web: gunicorn 'app:create_app()'\n"


def test_no_procfile_and_no_app_to_find_is_refused_with_an_example(app: Path):
    (app / "Procfile").unlink()
    with pytest.raises(WebCommandError, match="web: gunicorn yourmodule:app"):
        tarball(app)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("worker: rq", "no web process"),
        ("web gunicorn a:b", "not of the form"),
        ("web: gunicorn -b 0.0.0.0:80 a:b", "has -b: leave it out"),
        ("web: gunicorn --bind=0.0.0.0:$PORT a:b", "Gantry chooses the address"),
        ("web: gunicorn -b0.0.0.0 a:b", "Gantry chooses the address"),
        ("web: gunicorn a:b --config own.py", "gunicorn.conf.py"),
        ("web: gunicorn -D a:b", "systemd"),
        ("web: cd src && gunicorn a:b", "--chdir"),
        ("web: gunicorn a:b && true", "one command"),
        ("web: waitress-serve a:b", "waitress-serve --unix-socket=.GANTRY_SOCKET yourmodule:app"),
        ("web: env/bin/uvicorn --port 80 a:b", "uvicorn --uds .GANTRY_SOCKET"),
        ("web: python serve.py $PORT", "a server gives the app no port"),
        ("web: flask run", "start the app with 'gunicorn yourmodule:app'"),
        ("web: python manage.py runserver", "start the app with 'gunicorn yourproject.wsgi'"),
        ("web: gunicorn", "names no app: start it with 'gunicorn yourmodule:app'"),
        ("web: gunicorn a:b | tee log", "one command"),
        ("web: gunicorn 'a:b", "can't be read"),
    ],
)
def test_a_web_process_that_cannot_work_is_refused_before_anything_is_touched(app: Path, line: str, reason: str):
    (app / "Procfile").write_text(line + "\n")
    with pytest.raises(WebCommandError, match=reason):
        tarball(app)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("Procfile", "web: gunicorn a:b\nrelease: flask db upgrade && python seed.py\n", "release: .* one command"),
        ("Procfile", "web: gunicorn a:b\nworker: python 'a\n", "worker: .* can't be read"),
        ("app.json", "{", "app.json is not JSON"),
        ("app.json", '{"cron": [{"schedule": "daily", "command": "a"}]}', "five fields of cron"),
        ("app.json", '{"cron": [{"schedule": "@daily", "command": "a > b"}]}', "cron: .* one command"),
    ],
)
def test_another_process_that_cannot_work_is_refused_before_anything_is_touched(
    app: Path, name: str, text: str, reason: str
):
    (app / name).write_text(text)
    with pytest.raises(ProcfileError, match=reason):
        tarball(app)


@pytest.mark.parametrize(
    "line",
    [
        "web: python -m gunicorn a:b",
        "web: LEVEL=debug bin/gunicorn a:b",
        "web: gunicorn --log-level info a:b\r",
        "web: ddtrace-run gunicorn a:b",
        "\ufeffweb: gunicorn a:b",
    ],
)
def test_other_ways_to_name_gunicorn_and_other_editors_files_are_fine(app: Path, line: str):
    (app / "Procfile").write_text(line + "\n", "utf-8")
    assert "Procfile" in members(app)


def test_gunicorn_may_be_told_by_its_own_settings_what_to_serve(app: Path):
    (app / "Procfile").write_text("web: gunicorn\n")
    (app / "gunicorn.conf.py").write_text('wsgi_app = "hello:app"\n')
    assert "gunicorn.conf.py" in members(app)


@pytest.mark.parametrize(
    "line",
    [
        "web: waitress-serve --unix-socket=$GANTRY_SOCKET a:b",
        "web: LEVEL=debug uvicorn --uds ${GANTRY_SOCKET} a:b",
        "web: python serve.py",
        "web: uwsgi --ini uwsgi.ini",
        "web: hypercorn -c hypercorn.toml a:b",
    ],
)
def test_another_server_is_fine_where_it_listens_on_the_socket_or_may_know_it(app: Path, line: str):
    (app / "Procfile").write_text(line + "\n")
    assert "Procfile" in members(app)


def test_operators_inside_quotes_are_the_apps_own_business(app: Path):
    (app / "Procfile").write_text("web: gunicorn 'site:create_app(debug=\"a;b\")' --log-level info\n")
    assert "Procfile" in members(app)


def test_only_the_newest_packs_stay_on_this_computer(app: Path, tmp_path: Path):
    for number in range(12):
        (app / "hello.py").write_text(f"app = {number}\n")
        packed = pack(app, tmp_path / "out").path
        assert packed.exists()
        os.utime(packed, (1000 + number, 1000 + number))
    assert len(list((tmp_path / "out").iterdir())) == 10


def test_a_pack_is_named_by_its_digest_and_written_once(app: Path, tmp_path: Path):
    first = pack(app, tmp_path / "out")
    second = pack(app, tmp_path / "out")
    assert first == second
    assert first.path
    assert hashlib.sha256(first.path.read_bytes()).hexdigest().startswith(first.release)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{first.release}.tar"]
