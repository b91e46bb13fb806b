"""What `make up` says about the web server that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from host import web_hints


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["/opt/v/bin/python", "/opt/v/bin/gunicorn", "-b", "0.0.0.0:1", "a:b"], "leave -b or --bind out"),
        (["python", "-m", "uvicorn", "a:b"], "--uds $GANTRY_SOCKET"),
        (["python", "/v/bin/waitress-serve", "a:b"], "--unix-socket=$GANTRY_SOCKET"),
        (["./shop"], "if the server can listen on one"),
    ],
)
def test_the_option_for_a_socket_is_that_of_the_server_that_runs(words: list[str], option: str):
    assert option in web_hints.socket_option([["/bin/bash", "start.sh"], words])


@pytest.mark.parametrize(
    ("header", "server"),
    [
        ("Werkzeug/3.1.3 Python/3.13.5", "Flask's development server"),
        ("WSGIServer/0.2 CPython/3.13.5", "Python's wsgiref, which is also Django's runserver"),
        ("SimpleHTTP/0.6 Python/3.13.5", "Python's http.server"),
        ("gunicorn", None),
        ("", None),
    ],
)
def test_a_development_server_is_known_by_its_header(header: str, server: str | None):
    assert web_hints.development_server(header) == server


@pytest.mark.parametrize(
    ("line", "files", "command"),
    [
        ("flask --app hello run -p $PORT", {"hello.py": "site = Flask()\ncreate_app = 1\n"}, "gunicorn hello:app"),
        ("flask run -p $PORT", {".flaskenv": "FLASK_APP=hello:shop", "hello.py": "shop = 1\n"}, "gunicorn hello:shop"),
        (
            "flask run",
            {".flaskenv": "FLASK_APP=hello", "hello.py": "def make_app(): ..."},
            "gunicorn 'hello:make_app()'",
        ),
        ("python manage.py runserver", {"manage.py": "", "shop/wsgi.py": "", "a/b/wsgi.py": ""}, "gunicorn shop.wsgi"),
        ("python app.py", {"shop/wsgi.py": ""}, "gunicorn app:app"),
    ],
)
def test_a_development_server_gets_the_command_of_gunicorn_for_its_app(
    tmp_path: Path, line: str, files: dict[str, str], command: str
):
    for name, text in {"Procfile": f"web: {line}\n", **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert web_hints.production_command(tmp_path) == command
