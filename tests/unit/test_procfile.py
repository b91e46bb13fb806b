"""The Procfile and app.json, checked or written while the app is packed."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.app.procfile import ProcfileError
from components.app.web_command import WebCommandError
from tests.packed_app import packed
from tests.unit.tarballs import members


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("web: gunicorn -b 0.0.0.0:80 a:b", "has -b: leave it out"),
        ("web: gunicorn --bind=0.0.0.0:$PORT a:b", "Gantry chooses the address"),
        ("web: gunicorn -b0.0.0.0 a:b", "Gantry chooses the address"),
        ("web: gunicorn a:b --config own.py", "gunicorn.conf.py"),
        ("web: gunicorn -D a:b", "systemd"),
        ("web: cd src && gunicorn a:b", "--chdir"),
        ("web: gunicorn a:b && true", "one command"),
        ("web: waitress-serve a:b", "waitress-serve --unix-socket=.GANTRY_SOCKET yourmodule:app"),
        ("web: uvicorn --port 80 a:b", "uvicorn --uds .GANTRY_SOCKET"),
        ("web: python serve.py $PORT", "a server gives the app no port"),
        ("web: flask run", "start the app with 'gunicorn yourmodule:app'"),
        ("web: python manage.py runserver", "start the app with 'gunicorn yourproject.wsgi'"),
        ("web: gunicorn", "names no app: start it with 'gunicorn yourmodule:app'"),
        ("web: gunicorn a:b | tee log", "one command"),
    ],
)
def test_a_web_command_that_cannot_work_is_refused_while_packing(app: Path, line: str, reason: str):
    (app / "Procfile").write_text(line + "\n")
    with pytest.raises(WebCommandError, match=reason):
        packed(app)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("Procfile", "web: gunicorn a:b\nrelease: flask db upgrade && python seed.py\n", "release: .* one command"),
        (
            "Procfile",
            "web: gunicorn a:b\nworker: python 'a\n",
            "line 2: worker: .* can't be read by the shell: .*matching",
        ),
        ("app.json", "{", "app.json is not JSON"),
        ("app.json", '{"cron": [{"schedule": "daily", "command": "a"}]}', "five fields of cron"),
        ("app.json", '{"cron": [{"schedule": "@daily", "command": "a > b"}]}', "cron: .* one command"),
    ],
)
def test_another_command_that_cannot_work_is_refused_while_packing(app: Path, name: str, text: str, reason: str):
    (app / name).write_text(text)
    with pytest.raises(ProcfileError, match=reason):
        packed(app)


@pytest.mark.parametrize(
    "line",
    [
        "web: python -m gunicorn a:b",
        "web: LEVEL=debug gunicorn a:b",
        "web: gunicorn --log-level info a:b\r",
        "web: ddtrace-run gunicorn a:b",
        "\ufeffweb: gunicorn a:b",
    ],
)
def test_gunicorn_may_have_a_wrapper_and_the_procfile_any_line_ends(app: Path, line: str):
    (app / "Procfile").write_text(line + "\n", "utf-8")
    assert "Procfile" in members(app)


def test_gunicorns_own_settings_may_name_the_app(app: Path):
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
def test_another_web_server_is_accepted_if_it_listens_on_the_socket_or_has_settings_of_its_own(app: Path, line: str):
    (app / "Procfile").write_text(line + "\n")
    assert "Procfile" in members(app)


def test_shell_operators_inside_quotes_are_accepted(app: Path):
    (app / "Procfile").write_text("web: gunicorn 'site:create_app(debug=\"a;b\")' --log-level info\n")
    assert "Procfile" in members(app)
