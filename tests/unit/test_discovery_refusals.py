"""Folders without a Procfile that are refused, and what the error tells to write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.app import apps_below
from components.app.discovery import DiscoveryError
from tests.packed_app import packed
from tests.unit.discovered_apps import DJANGO, FACTORY, FASTAPI, FLASK, command, refusal

FLASKY = "from app import create_app, db\napp = create_app(os.getenv('FLASK_CONFIG') or 'default')\n"

PROJECT = '[project]\nname = "web"\nversion = "1"\n'
WORKSPACE = {"pyproject.toml": f'{PROJECT}[tool.uv.workspace]\nmembers = ["web", "apps/*"]\n'}


def test_without_an_app_the_error_has_an_example(app: Path):
    (app / "Procfile").unlink()
    (app / "hello.py").unlink()
    with pytest.raises(DiscoveryError, match="web: gunicorn yourmodule:app"):
        packed(app)


def test_a_procfile_in_another_folder_is_pointed_out(tmp_path: Path):
    with pytest.raises(DiscoveryError, match=r"backend/Procfile isn't read: the setting app must name its folder"):
        command(tmp_path, {"backend/Procfile": "web: gunicorn a:b\n"})


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"api.py": FASTAPI}, "api.py isn't a usual name, .*'web: gunicorn -k uvicorn_worker.UvicornWorker api:app'$"),
        (
            {"app/__init__.py": FACTORY, "flasky.py": FLASKY},
            "flasky.py isn't a usual name, .*'web: gunicorn flasky:app'$",
        ),
        (
            {"app/__init__.py": "from .factory import create_app", "app/factory.py": FACTORY, "manage.py": FLASKY},
            "'web: gunicorn manage:app'$",
        ),
        (
            {"app/__init__.py": FACTORY, "celery_worker.py": FLASKY, "microblog.py": FLASKY.replace("app =", "site =")},
            "'web: gunicorn microblog:site'$",
        ),
        (
            {"backend/app/__init__.py": FACTORY, "backend/flasky.py": FLASKY},
            "app flasky:app is in the folder backend: .*'web: cd backend && gunicorn flasky:app'",
        ),
        ({"run.py": FLASK}, "run.py isn't a usual name, .*'web: gunicorn run:app'$"),
        ({"src/api.py": FLASK}, "src/api.py .*'web: PYTHONPATH=src gunicorn api:app'$"),
        (
            {"api.py": FASTAPI, "requirements.txt": "fastapi"},
            "UvicornWorker api:app', and add uvicorn-worker to requir",
        ),
        ({f"backend/{name}": text for name, text in DJANGO.items()}, "'web: cd backend && gunicorn shop.wsgi'"),
        ({f"a/b/{name}": text for name, text in DJANGO.items()}, "'web: cd a/b && gunicorn shop.wsgi'"),
        (
            {"back-end/app/main.py": FASTAPI, "back-end/app/__init__.py": ""},
            "app app.main:app is in the folder back-end: .*'web: cd back-end && gunicorn -k .*Worker app.main:app'",
        ),
        ({"my-app/app.py": FLASK}, "'web: cd my-app && gunicorn app:app'"),
        (
            {f"backend/{name}": text for name, text in {**DJANGO, "requirements.txt": "django"}.items()},
            "Django project is in the folder backend: .*`pulumi config set app /.*/backend`$",
        ),
        ({**WORKSPACE, "web/app.py": FLASK, "web/pyproject.toml": PROJECT}, "`pulumi config set app /.*/web`$"),
        ({**WORKSPACE, "apps/web/app.py": FLASK, "apps/web/pyproject.toml": PROJECT}, "config set app /.*/apps/web`$"),
        (
            {**WORKSPACE, "apps/web/src/web/app.py": FLASK, "apps/web/pyproject.toml": PROJECT},
            "app web.app:app is in the folder apps/web: .*config set app /.*/apps/web`$",
        ),
        (
            {
                **WORKSPACE,
                **{f"apps/{name}/app.py": FLASK for name in ("admin", "web")},
                **{f"apps/{name}/pyproject.toml": PROJECT for name in ("admin", "web")},
                "apps/web/Procfile": "",
            },
            "the folders apps/web, apps/admin have apps .*config set app /.*/apps/web`$",
        ),
    ],
)
def test_an_app_in_an_unusual_place_is_refused_with_the_line_to_write(tmp_path: Path, files: dict[str, str], line: str):
    assert re.search(line, refusal(tmp_path, files))


BROKEN = "[project]\nname = {{ name }}\n"


@pytest.mark.parametrize("project", [BROKEN, "[tool.uv.workspace]\nmembers = 'packages/*'\n"])
def test_a_folder_beside_the_app_may_have_a_list_that_cannot_be_read(tmp_path: Path, project: str):
    files = {"template/pyproject.toml": project, "template/hooks.py": "", "template/main.py": FLASK}
    assert command(tmp_path, {"app.py": FLASK, **files}) == "gunicorn app:app"
    others = {"template/web/pyproject.toml": project, "template/web/app.py": FLASK}
    real = {"apps/web/app.py": FLASK, "apps/web/requirements.txt": ""}
    assert re.search("in the folder apps/web: make that", refusal(tmp_path / "a", {**others, **real}))


@pytest.mark.parametrize(
    "app",
    [{"app.py": FLASK}, {"web/__init__.py": "", "web/app.py": FLASK}, DJANGO],
)
def test_the_list_of_the_folder_with_the_app_is_named_if_it_cannot_be_read(tmp_path: Path, app: dict[str, str]):
    files = {f"apps/back/{name}": text for name, text in {**app, "pyproject.toml": BROKEN}.items()}
    message = refusal(tmp_path, files, packages="")
    assert re.search(r"apps/back/pyproject\.toml can't be read: .*line 2.*config set app /.*/apps/back`$", message)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import streamlit as st\nst.title('a')", "'web: streamlit run app.py --server.port $PORT --server.address"),
        ("import gradio as gr\ngr.Interface(f).launch()", "'web: GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=$PORT"),
        ("import panel\npanel.panel(1).servable()", "'web: panel serve app.py --address 0.0.0.0 --port $PORT'"),
        ("from bottle import run\nrun()", r"'web: python app.py', and let it listen on port int\(os.environ"),
        ("import tornado.web\napp = tornado.web.Application([])", "'web: python app.py', and let it listen"),
        ("from http.server import HTTPServer", "'web: python app.py', and let it listen"),
    ],
)
def test_a_program_with_its_own_server_is_refused_with_the_line_to_write(tmp_path: Path, source: str, line: str):
    assert re.search(
        f"brings its own server: add a Procfile with the line {line.replace('$', '[$]')}",
        refusal(tmp_path, {"app.py": source}),
    )


@pytest.mark.parametrize(
    ("source", "call"),
    [
        (FLASK + "app.run(port=80)\n", r"app\.py, line 3: app\.run\(\) starts a server"),
        (FASTAPI + "import uvicorn\nuvicorn.run(app)\n", r"app\.py, line 4: uvicorn\.run\(\) starts a server"),
        (FLASK + "from gevent.pywsgi import WSGIServer\nWSGIServer(('', 1), app).serve_forever()\n", "serve_forever"),
    ],
)
def test_a_module_that_starts_a_server_while_it_is_imported_is_refused(tmp_path: Path, source: str, call: str):
    message = refusal(tmp_path, {"app.py": source})
    assert re.search(call, message)
    assert "'if __name__ == \"__main__\":'" in message
    guarded = re.sub(r"(?m)^(\S*(?:run|WSGIServer)\(.*)$", r"if __name__ == '__main__':\n    \1", source)
    assert command(tmp_path, {"app.py": guarded})


def test_a_factory_with_arguments_is_refused_with_the_line_to_write(tmp_path: Path):
    source = "from flask import Flask\ndef create_app(config, *, debug):\n    return Flask('a')\n"
    message = refusal(tmp_path, {"app.py": source})
    assert "the factory create_app needs config, debug" in message
    assert "'web: gunicorn \"app:create_app('value')\"'" in message
    assert command(tmp_path, {"app.py": source.replace("config, *, debug", "config=1, *, debug=0")})


def test_a_factory_with_arguments_of_another_module_is_refused(tmp_path: Path):
    source = "from .factory import create_app\n"
    message = refusal(tmp_path, {"shop/__init__.py": source, "shop/factory.py": FACTORY})
    assert "the factory create_app needs config_name" in message


def test_part_of_an_app_is_no_app(tmp_path: Path):
    assert "yourmodule:app" in refusal(tmp_path, {"main.py": "from fastapi import APIRouter\nrouter = APIRouter()"})


def test_several_packages_with_apps_are_refused_with_their_names(tmp_path: Path):
    with pytest.raises(DiscoveryError, match=r"several apps \(admin.app:app or shop.main:app\)"):
        command(tmp_path, {"shop/main.py": FASTAPI, "admin/app.py": FLASK})


def test_a_dash_object_without_a_server_is_refused_with_the_line_to_add(tmp_path: Path):
    with pytest.raises(DiscoveryError, match=r"app\.py: app is a Dash object.*'server = app.server'"):
        command(tmp_path, {"app.py": "import dash\napp = dash.Dash(__name__)\n"})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "from celery import Celery\napp = Celery('jobs')\n",
            "app in app.py is made by celery.Celery, which answers no",
        ),
        ("from slack_bolt import App\napp = App()\n", "app.py brings its own server: .*'web: python app.py'"),
        (
            "from fastapi import FastAPI\nasync def create_app():\n    return FastAPI()\n",
            "create_app is an async function, and servers don't await factories: write 'def create_app'",
        ),
        (
            "from flask import Flask\ndef create_app():\n    app = Flask('a')\n    return db, app\n",
            r"the factory create_app returns a tuple, .*: add the line 'app = create_app\(\)\[1\]' below it",
        ),
        (
            "import tornado.web\ndef make_app():\n    return tornado.web.Application([])\n",
            "make_app brings its own server: .*'web: python app.py'",
        ),
        (
            "from flask import Flask\nif __name__ == '__main__':\n    app = Flask('a')\n    app.run()\n",
            "app.py makes app in line 3, below the line 'if __name__ == .*', which a server doesn't run",
        ),
    ],
)
def test_what_no_server_can_call_is_refused_with_the_reason(tmp_path: Path, source: str, message: str):
    assert re.search(message, refusal(tmp_path, {"app.py": source}))


def test_another_module_may_call_what_no_server_can_call(tmp_path: Path):
    source = "from flask import Flask\ndef create_app():\n    app = Flask('a')\n    return app, 1\n"
    wsgi = "from app import create_app\napp, _ = create_app()\n"
    assert command(tmp_path, {"app.py": source, "wsgi.py": wsgi}) == "gunicorn wsgi:app"
    assert command(tmp_path, {"app.py": source + "app = create_app()[0]\n"}) == "gunicorn app:app"


@pytest.mark.parametrize("source", [b"app = 1\0", b"app = '\xe9'\n", b"app = (\n"])
def test_a_module_that_no_python_can_read_gets_no_line(tmp_path: Path, source: bytes):
    message = refusal(tmp_path, {"app.py": source})
    assert re.search(r"no Python can read app\.py \(.*\): correct the file$", message)


@pytest.mark.parametrize(
    ("files", "remedy"),
    [
        (
            {"backend/requirements.txt": "flask"},
            "'web: gunicorn backend.app:app', and a requirements.txt with the line `-r backend/requirements.txt` there",
        ),
        ({"requirements.txt": "flask", "backend/seed.sql": ""}, "'web: gunicorn backend.app:app'"),
        # A module has no modules below it, so backend.models is in the folder.
        ({"requirements.txt": "flask", "backend/backend.py": ""}, "'web: gunicorn backend.app:app'"),
        ({"backend/pyproject.toml": PROJECT}, "'web: gunicorn backend.app:app', and pyproject.toml there"),
    ],
)
def test_an_app_below_that_imports_itself_by_its_folders_name_is_served_from_above(
    tmp_path: Path, files: dict[str, str], remedy: str
):
    source = "from backend.models import db\n" + FLASK
    contents = {"backend/app.py": source, "backend/models.py": "db = 1\n", **files}
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = apps_below.remedy(tmp_path, {name: text.encode() for name, text in contents.items()})
    reason = "in the folder backend, and imports itself by the name backend"
    assert found.endswith(f"{reason}: add a Procfile with the line {remedy}")
