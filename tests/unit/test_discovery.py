"""The app of a folder without a Procfile, and the command that serves it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from components.app.discovery import DiscoveryError
from tests.packed_app import packed
from tests.unit.discovered_apps import FASTAPI, FLASK, command, refusal
from tests.unit.tarballs import content

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
DJANGO = {
    "manage.py": MANAGE,
    "shop/__init__.py": "",
    "shop/settings.py": "WSGI_APPLICATION = 'shop.wsgi.application'\n",
    "shop/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
    "shop/asgi.py": "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n",
}


def target(folder: Path, files: Mapping[str, str | bytes]) -> str:
    """The kind of the app and its name: what a command has after its server."""
    words = command(folder, files).split()
    return f"{'asgi' if '-k' in words else 'wsgi'} {words[-1]}"


def test_a_missing_procfile_is_written_into_the_release(app: Path):
    (app / "Procfile").unlink()
    (app / "wsgi.py").write_text("from hello import app\n")
    assert content(app, "Procfile") == b"web: gunicorn wsgi:app\n"


def test_without_an_app_the_error_has_an_example(app: Path):
    (app / "Procfile").unlink()
    (app / "hello.py").unlink()
    with pytest.raises(DiscoveryError, match="web: gunicorn yourmodule:app"):
        packed(app)


def test_a_procfile_in_another_folder_is_pointed_out(tmp_path: Path):
    with pytest.raises(DiscoveryError, match=r"backend/Procfile isn't read: the setting app must name its folder"):
        command(tmp_path, {"backend/Procfile": "web: gunicorn a:b\n"})


NEWER = """from fastapi import FastAPI
d = {"a": "b"}
type X = int
def f[T](x: T) -> T:
    return x
def g():
    try:
        return f"{d["a"]}"
    except KeyError, ValueError:
        pass
"""
DEEP = "x = 1" + " + 1" * 20_000 + "\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (NEWER + "app = FastAPI()\n", "asgi main:app"),
        (NEWER + "@f\ndef create_app():\n    x = f'{d['a']}'\n    return FastAPI()\n", "asgi 'main:create_app()'"),
        (NEWER + "app = FastAPI(title=f'{d['a']}')\n", "asgi main:app"),
        (NEWER + "app: FastAPI = FastAPI(\n    title=f'{d['a']}',\n)\n", "asgi main:app"),
        (DEEP + FLASK, "wsgi main:app"),
        ("if 0:\n    pass\n" + "elif 0:\n    pass\n" * 5_000 + FLASK, "wsgi main:app"),
    ],
)
def test_an_app_is_found_beside_what_this_computers_python_cannot_read(tmp_path: Path, source: str, expected: str):
    assert target(tmp_path, {"main.py": source}) == expected


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = 1\ndef broken(:\n", "line 2: "),
        (DEEP, "too deeply"),
        ("# é".encode("latin-1"), "line 1: "),
        (b"\0", "line 1: "),
    ],
)
def test_a_module_that_cannot_be_read_is_named_only_if_there_is_no_other_app(
    tmp_path: Path, source: str | bytes, reason: str
):
    message = refusal(tmp_path, {"app.py": source})
    assert re.search(rf"this computer's Python 3\.\d+ can't read app\.py \(.*{reason}", message)
    assert "'web: gunicorn app:app'" in message
    assert target(tmp_path, {"app.py": source, "main.py": FLASK}) == "wsgi main:app"


def test_a_template_of_an_app_in_another_folder_does_not_count(tmp_path: Path):
    template = "from {{ name }} import x\n" + FLASK
    assert target(tmp_path, {"shop/app.py": FLASK, "skeleton/app.py": template}) == "wsgi shop.app:app"


PROJECT = '[project]\nname = "web"\nversion = "1"\n'
WORKSPACE = {"pyproject.toml": f'{PROJECT}[tool.uv.workspace]\nmembers = ["web", "apps/*"]\n'}


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"api.py": FASTAPI}, "api.py isn't a usual name, .*'web: gunicorn -k uvicorn_worker.UvicornWorker api:app'$"),
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


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # Flask and others
        (FLASK, "wsgi app:app"),
        ("import flask\napplication = flask.Flask(__name__)", "wsgi app:application"),
        ("from flask import Flask\nshop = Flask(__name__)", "wsgi app:shop"),
        ("def create_app():\n    pass", "wsgi 'app:create_app()'"),
        ("from shop import create_app", "wsgi 'app:create_app()'"),
        ("import falcon\napp = falcon.App()", "wsgi app:app"),
        ("import bottle\napp = bottle.default_app()", "wsgi app:app"),
        ("def app(environ, start_response):\n    pass", "wsgi app:app"),
        ("from elsewhere import app", "wsgi app:app"),
        # Dash
        ("from dash import Dash\napp = Dash(__name__)\nserver = app.server", "wsgi app:server"),
        ("import dash\napp = dash.Dash()\nwsgi = app.server", "wsgi app:wsgi"),
        # ASGI frameworks
        (FASTAPI, "asgi app:app"),
        ("import fastapi as f\napi: f.FastAPI = f.FastAPI(title='x')", "asgi app:api"),
        ("from starlette.applications import Starlette\napp = Starlette()", "asgi app:app"),
        ("from quart import Quart\napp = Quart(__name__)", "asgi app:app"),
        ("from litestar import Litestar\napp = Litestar([])", "asgi app:app"),
        ("import falcon.asgi\napp = falcon.asgi.App()", "asgi app:app"),
        ("from fasthtml.common import fast_app\napp, rt = fast_app()", "asgi app:app"),
        ("from fasthtml.common import *\napp, rt = fast_app()\nserve()", "asgi app:app"),
        ("from fastapi import FastAPI\napp, x = FastAPI(), 1", "asgi app:app"),
        ("from fastapi import FastAPI\nx, app = 1, FastAPI()", "asgi app:app"),
        ("import socketio\nsio = socketio.AsyncServer()\napp = socketio.ASGIApp(sio)", "asgi app:app"),
        ("async def app(scope, receive, send):\n    pass", "asgi app:app"),
        ("class App:\n    async def __call__(self, s, r, x):\n        pass\napp = App()", "asgi app:app"),
        ("from fastapi import FastAPI\nclass Shop(FastAPI):\n    pass\napp = Shop()", "asgi app:app"),
        # wrapped, converted and conditional
        (FASTAPI + "from x import Middleware\napp = Middleware(app)", "asgi app:app"),
        (FLASK + "from whitenoise import WhiteNoise\napp = WhiteNoise(app)", "wsgi app:app"),
        (FLASK + "from asgiref.wsgi import WsgiToAsgi\napp = WsgiToAsgi(app)", "asgi app:app"),
        (FASTAPI + "from a2wsgi import ASGIMiddleware\napp = ASGIMiddleware(app)", "wsgi app:app"),
        ("try:\n    from fastapi import FastAPI\nfinally:\n    app = FastAPI()", "asgi app:app"),
        # factories
        (
            "from fastapi import FastAPI\ndef create_app():\n    app = FastAPI()\n    return app",
            "asgi 'app:create_app()'",
        ),
        ("from fastapi import FastAPI\ndef make():\n    return FastAPI()\napp = make()", "asgi app:app"),
        ("from fastapi import FastAPI\ndef get_app():\n    api = FastAPI()\n    return api", "asgi 'app:get_app()'"),
        # what only a program makes, and what an extension makes of an app
        (FLASK.replace("app =", "def create_app(): return") + "if __name__ == '__main__':\n    app = create_app()",
         "wsgi 'app:create_app()'"),
        (FLASK.replace("app =", "shop =") + "db = SQLAlchemy(shop)\ndef home():\n    return flask.redirect('/')",
         "wsgi app:shop"),
        ("from x import app\nfrom y import Middleware\napplication = Middleware(app)", "wsgi app:application"),
        ("import dash, flask\nserver = flask.Flask('a')\napp = dash.Dash(server=server)", "wsgi app:server"),
        (FASTAPI + "import gradio\napp = gradio.mount_gradio_app(app, demo, path='/')", "asgi app:app"),
    ],
)  # fmt: skip
def test_an_app_is_recognised_by_what_its_module_makes_it_from(tmp_path: Path, source: str, expected: str):
    assert target(tmp_path, {"app.py": source}) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"main.py": "from shop import app", "shop/__init__.py": FASTAPI}, "asgi main:app"),
        ({"wsgi.py": "from shop import app", "shop/__init__.py": FLASK}, "wsgi wsgi:app"),
        ({"main.py": "from shop.web import make\napp = make()", "shop/web.py": "from .core import make",
          "shop/core.py": "import quart\ndef make():\n    return quart.Quart('a')"}, "asgi main:app"),
        ({"app/main.py": FASTAPI, "app/__init__.py": ""}, "asgi app.main:app"),
        ({"app/main.py": FASTAPI}, "asgi app.main:app"),
        ({"shop/__init__.py": FLASK}, "wsgi shop:app"),
        ({"shop/__init__.py": "from .web import app", "shop/web.py": FASTAPI}, "asgi shop:app"),
        ({"shop/app.py": "app = object()", "shop/main.py": FLASK}, "wsgi shop.main:app"),
        ({"tests/app.py": FLASK, "web/app.py": FLASK}, "wsgi web.app:app"),
        (DJANGO, "wsgi shop.wsgi"),
        ({name: text for name, text in DJANGO.items() if name != "shop/wsgi.py"}, "asgi shop.asgi:application"),
        ({**DJANGO, "shop/settings.py": "ASGI_APPLICATION = 'shop.asgi.application'"}, "asgi shop.asgi:application"),
        ({"manage.py": MANAGE.replace("shop.settings", "config.settings.local"),
          "config/settings/base.py": "WSGI_APPLICATION = 'config.wsgi.application'",
          "config/wsgi.py": "", "api/wsgi.py": ""}, "wsgi config.wsgi"),
        ({"manage.py": "import django", "shop/wsgi.py": ""}, "wsgi shop.wsgi"),
    ],
)  # fmt: skip
def test_apps_in_usual_layouts_are_found(tmp_path: Path, files: dict[str, str], expected: str):
    assert target(tmp_path, files) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"src/main.py": FASTAPI}, "PYTHONPATH=src gunicorn -k uvicorn_worker.UvicornWorker main:app"),
        ({"src/shop/app.py": FLASK, "src/shop/__init__.py": ""}, "PYTHONPATH=src gunicorn shop.app:app"),
        (
            {"backend/main.py": "import routes\n" + FLASK, "backend/routes.py": ""},
            "PYTHONPATH=backend gunicorn main:app",
        ),
        ({f"src/{name}": text for name, text in DJANGO.items()}, "PYTHONPATH=src gunicorn shop.wsgi"),
    ],
)
def test_for_an_app_in_a_folder_of_its_own_the_folder_is_on_pythons_path(
    tmp_path: Path, files: dict[str, str], expected: str
):
    assert command(tmp_path, files) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from aiohttp import web\napp = web.Application()\n", "main:app"),
        ("from aiohttp import web\nasync def create_app():\n    return web.Application()\n", "main:create_app"),
        ("from aiohttp import web\ndef create_app():\n    return web.Application()\n", "main:create_app"),
    ],
)
def test_an_app_of_aiohttp_runs_on_its_own_worker_of_gunicorn(tmp_path: Path, source: str, expected: str):
    assert command(tmp_path, {"main.py": source}) == f"gunicorn -k aiohttp.GunicornWebWorker {expected}"


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


def test_part_of_an_app_is_no_app(tmp_path: Path):
    assert "yourmodule:app" in refusal(tmp_path, {"main.py": "from fastapi import APIRouter\nrouter = APIRouter()"})


def test_a_module_is_found_before_a_package(tmp_path: Path):
    assert target(tmp_path, {"app.py": FLASK, "shop/main.py": FASTAPI}) == "wsgi app:app"


def test_several_packages_with_apps_are_refused_with_their_names(tmp_path: Path):
    with pytest.raises(DiscoveryError, match=r"several apps \(admin.app:app or shop.main:app\)"):
        command(tmp_path, {"shop/main.py": FASTAPI, "admin/app.py": FLASK})


def test_a_dash_object_without_a_server_is_refused_with_the_line_to_add(tmp_path: Path):
    with pytest.raises(DiscoveryError, match=r"app\.py: app is a Dash object.*'server = app.server'"):
        command(tmp_path, {"app.py": "import dash\napp = dash.Dash(__name__)\n"})
