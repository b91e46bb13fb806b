"""The app of a folder without a Procfile, and the command that serves it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.discovered_apps import DJANGO, FACTORY, FASTAPI, FLASK, MANAGE, command, refusal
from tests.unit.tarballs import content


def target(folder: Path, files: Mapping[str, str | bytes]) -> str:
    """The kind of the app and its name: what a command has after its server."""
    words = command(folder, files).split()
    return f"{'asgi' if '-k' in words else 'wsgi'} {words[-1]}"


def test_a_missing_procfile_is_written_into_the_release(app: Path):
    (app / "Procfile").unlink()
    (app / "wsgi.py").write_text("from hello import app\n")
    assert content(app, "Procfile") == b"web: gunicorn wsgi:app\n"


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
    assert re.search(rf"(?:this computer's Python 3\.\d+ can't|no Python can) read app\.py \(.*{reason}", message)
    assert ("'web: gunicorn app:app'" in message) == ("no Python" not in message)
    assert target(tmp_path, {"app.py": source, "main.py": FLASK}) == "wsgi main:app"


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
        # a factory that another module calls
        ({"app.py": FACTORY, "main.py": "from app import create_app\napp = create_app('a')"}, "wsgi main:app"),
        ({"app.py": FACTORY + "site = create_app('a')"}, "wsgi app:site"),
        ({"shop/__init__.py": FACTORY, "web/app.py": "from shop import create_app\napp = create_app('a')"},
         "wsgi web.app:app"),
        # modules that are packages, and names from other modules
        ({"shop/wsgi/__init__.py": "application = make_wsgi()", "shop/__init__.py": ""}, "wsgi shop.wsgi:application"),
        ({"shop/__init__.py": "from .core import *", "shop/core.py": FASTAPI}, "asgi shop:app"),
        ({"shop/__init__.py": "from .core import *", "shop/core.py": "from .web import *", "shop/web.py": FLASK},
         "wsgi shop:app"),
        ({"shop/__init__.py": "from .core import *", "shop/core.py": "from . import *\n" + FLASK}, "wsgi shop:app"),
        ({"shop/__init__.py": "from .core import *", "shop/main.py": FLASK,
          "shop/core.py": "__all__ = ['db']\n" + FASTAPI}, "wsgi shop.main:app"),
        ({"shop/main.py": "from .core import m\napp = m()", "shop/core.py": f"{FLASK}def m():\n    return app"},
         "wsgi shop.main:app"),
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
        ({"manage.py": "import django", "shop/wsgi/__init__.py": ""}, "wsgi shop.wsgi"),
        ({"manage.py": MANAGE, "shop/asgi/__init__.py": "import django",
          "shop/settings.py": "ASGI_APPLICATION = 'shop.asgi.application'"}, "asgi shop.asgi:application"),
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


def test_a_folder_with_the_name_of_its_module_is_found_from_above(tmp_path: Path):
    files = {"app/app.py": "from app.models import db\n" + FLASK, "app/models.py": "db = 1\n"}
    assert target(tmp_path, files) == "wsgi app.app:app"


def test_an_app_of_wsgi_may_name_its_arguments_as_it_likes(tmp_path: Path):
    source = "def app(e, s):\n    s('200 OK', [])\n    return [b'shop']\n"
    assert target(tmp_path, {"app.py": source}) == "wsgi app:app"


def test_a_template_of_an_app_in_another_folder_does_not_count(tmp_path: Path):
    template = "from {{ name }} import x\n" + FLASK
    assert target(tmp_path, {"shop/app.py": FLASK, "skeleton/app.py": template}) == "wsgi shop.app:app"


@pytest.mark.parametrize("second", ["asgi", "wsgi"])
def test_a_name_that_two_modules_bring_is_not_followed(tmp_path: Path, second: str):
    files = {"shop/__init__.py": "from .a import *\nfrom .b import *\n", "shop/a.py": FLASK, "shop/b.py": FASTAPI}
    assert "yourmodule:app" in refusal(tmp_path, files)
    assert target(tmp_path, {**files, f"{second}.py": FLASK}) == f"wsgi {second}:app"


def test_a_module_is_found_before_a_package(tmp_path: Path):
    assert target(tmp_path, {"app.py": FLASK, "shop/main.py": FASTAPI}) == "wsgi app:app"


CELERY = "from celery import Celery\napp = Celery('jobs')\n"
WEB = "from flask import Flask\nweb_app = Flask(__name__)\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"app.py": CELERY + WEB}, "gunicorn app:web_app"),
        ({"app.py": "import slack_bolt\napp = slack_bolt.App()\n" + WEB}, "gunicorn app:web_app"),
        ({"app.py": "import other\napp = other.App()\n" + WEB}, "gunicorn app:web_app"),
        ({"app.py": CELERY, "main.py": FLASK}, "gunicorn main:app"),
        ({"app.py": "import other\napp = other.App()\n", "main.py": FLASK}, "gunicorn main:app"),
        ({"app.py": "import typer\napp = typer.Typer()\n", "api/__init__.py": FLASK}, "gunicorn api:app"),
        # What another package makes may be an app, too.
        ({"app.py": "from eve import Eve\napp = Eve()\n"}, "gunicorn app:app"),
        ({"app.py": WEB + "from other import Wrapper\napp = Wrapper(inner=web_app)\n"}, "gunicorn app:app"),
    ],
)
def test_a_known_app_counts_more_than_what_another_package_makes(tmp_path: Path, files: dict[str, str], expected: str):
    assert command(tmp_path, files) == expected


SHINY = "from shiny import App, ui\napp = App(ui.page_fluid(), None)\n"
CONNEXION = "import connexion\napp = connexion.App(__name__)\n"


@pytest.mark.parametrize(
    ("source", "packages", "expected"),
    [
        (SHINY, "shiny", "uvicorn --uds $GANTRY_SOCKET app:app"),
        (CONNEXION, "connexion<3", "gunicorn app:app"),
        (CONNEXION, "connexion[swagger-ui]==2.14.2", "gunicorn app:app"),
        (CONNEXION, "connexion>=2\nuvicorn", "uvicorn --uds $GANTRY_SOCKET app:app"),
        (CONNEXION, "connexion~=3.0\nuvicorn", "uvicorn --uds $GANTRY_SOCKET app:app"),
    ],
)
def test_the_kind_of_an_app_may_depend_on_the_version_of_its_package(
    tmp_path: Path, source: str, packages: str, expected: str
):
    assert command(tmp_path, {"app.py": source}, packages) == expected


DASH = "from dash import Dash\napp = Dash(__name__)\nserver = app.server\n"


@pytest.mark.parametrize(
    ("source", "index", "expected"),
    [
        (DASH, "from app import app, server\napp.layout = 1\n", "gunicorn index:server"),
        (DASH + "app.layout = 1\n", "from app import app, server\napp.layout = 1\n", "gunicorn app:server"),
        (DASH.replace("__name__", "__name__, use_pages=True"), "from app import app, server\n", "gunicorn app:server"),
        (DASH, "from app import app\napp.layout = 1\n", "gunicorn app:server"),
    ],
)
def test_a_dash_app_is_served_by_the_module_that_gives_it_its_layout(
    tmp_path: Path, source: str, index: str, expected: str
):
    assert command(tmp_path, {"app.py": source, "index.py": index}) == expected
