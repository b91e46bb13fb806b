"""Apps without a Procfile that FLASK_APP or another file names."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.app.discovery import DiscoveryError
from host import dotenv, flask_app
from tests.unit.discovered_apps import FLASK, command, refusal

FACTORY = "from flask import Flask\ndef create_app(mode='dev'):\n    return Flask(__name__)\n"


@pytest.mark.parametrize(
    ("value", "files", "expected"),
    [
        ("hello", {"hello.py": FLASK}, "gunicorn hello:app"),
        ("hello.py", {"hello.py": FLASK}, "gunicorn hello:app"),
        ("./hello.py", {"hello.py": FLASK, "app.py": FLASK}, "gunicorn hello:app"),
        ('"hello.py" # the shop', {"hello.py": FLASK.replace("app =", "site =")}, "gunicorn hello:site"),
        ("hello", {"hello.py": FACTORY}, "gunicorn 'hello:create_app()'"),
        ("hello:create_app", {"hello.py": FACTORY}, "gunicorn 'hello:create_app()'"),
        ("hello:create_app()", {"hello.py": FACTORY}, "gunicorn 'hello:create_app()'"),
        ("hello:make", {"hello.py": FACTORY.replace("create_app", "make")}, "gunicorn 'hello:make()'"),
        ("hello:site", {"hello.py": FLASK.replace("app =", "site =")}, "gunicorn hello:site"),
        ("src/hello.py", {"src/hello.py": FLASK}, "PYTHONPATH=src gunicorn hello:app"),
        (
            "src/shop/site.py",
            {"src/shop/site.py": FLASK, "src/shop/__init__.py": ""},
            "PYTHONPATH=src gunicorn shop.site:app",
        ),
        ("shop", {"shop/__init__.py": FLASK, "shop/app.py": FLASK}, "gunicorn shop:app"),
        ("shop", {"src/shop/__init__.py": FACTORY}, "PYTHONPATH=src gunicorn 'shop:create_app()'"),
        ("shop.site", {"shop/site.py": FLASK, "shop/__init__.py": ""}, "gunicorn shop.site:app"),
        ("shop/__init__.py", {"shop/__init__.py": FLASK}, "gunicorn shop:app"),
        # A name that isn't there any more leaves the usual search.
        ("old", {"app.py": FLASK}, "gunicorn app:app"),
        ("", {"app.py": FLASK}, "gunicorn app:app"),
    ],
)
def test_flask_app_names_the_app(tmp_path: Path, value: str, files: dict[str, str], expected: str):
    assert command(tmp_path, {".flaskenv": f"FLASK_APP={value}\n", **files}) == expected


@pytest.mark.parametrize(
    "source",
    [
        "def start():\n    global shop\n    shop = make()\n\nstart()\n",
        "match kind:\n    case 1:\n        shop = make()\n",
        "db, shop = make()\n",
        "globals()['shop'] = make()\n",
        "def __getattr__(name):\n    return make()\n",
    ],
)
def test_an_app_that_a_module_may_bind_in_another_way_is_not_refused(tmp_path: Path, source: str):
    files = {".flaskenv": "FLASK_APP=hello:shop\n", "hello.py": source}
    assert command(tmp_path, files) == "gunicorn hello:shop"


@pytest.mark.parametrize(
    "source", ["def start():\n    shop = make()\n", "if __name__ == '__main__':\n    shop = make()\n", "print(shop)\n"]
)
def test_a_name_that_an_import_of_the_module_does_not_bind_is_refused(tmp_path: Path, source: str):
    assert "hello.py has no shop" in refusal(tmp_path, {".flaskenv": "FLASK_APP=hello:shop\n", "hello.py": source})


def test_a_call_with_arguments_stays_as_it_is(tmp_path: Path):
    files = {".flaskenv": "export FLASK_APP=\"hello:create_app('dev')\"\n", "hello.py": FACTORY}
    assert command(tmp_path, files) == """gunicorn 'hello:create_app('"'"'dev'"'"')'"""


def test_the_variable_in_env_wins_as_in_flask(tmp_path: Path):
    files = {".flaskenv": "FLASK_APP=one\n", ".env": "FLASK_APP=two\n", "one.py": FLASK, "two.py": FLASK}
    assert command(tmp_path, files) == "gunicorn two:app"


def test_quart_app_and_the_entrypoint_of_fastapi_name_apps_for_asgi(tmp_path: Path):
    files = {".env": "QUART_APP=shop\n", "shop.py": "app = make()\n", "app.py": FLASK}
    assert command(tmp_path / "quart", files) == "gunicorn -k uvicorn_worker.UvicornWorker shop:app"
    unknown = {"pyproject.toml": '[tool.fastapi]\nentrypoint = "shop.main:api"\n', "shop/main.py": "api = make()\n"}
    assert command(tmp_path / "fastapi", unknown) == "gunicorn -k uvicorn_worker.UvicornWorker shop.main:api"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("module = hello:site", "gunicorn hello:site"),
        ("wsgi-file = hello.py\ncallable = site ; the shop", "gunicorn hello:site"),
        ("module = hello\nmaster = true\nenv = A=b\nenv = C=d", "gunicorn hello:application"),
        ("module = hello:old", "gunicorn app:app"),
        ("module = old:app", "gunicorn app:app"),
        ("master", "gunicorn app:app"),
    ],
)
def test_uwsgi_ini_names_the_app_unless_it_is_left_over(tmp_path: Path, lines: str, expected: str):
    files = {"uwsgi.ini": f"[uwsgi]\n{lines}\n", "hello.py": FLASK + "site = application = app\n", "app.py": FLASK}
    assert command(tmp_path, files) == expected


@pytest.mark.parametrize("text", ["", "module = hello:site\n", "[uwsgi\n", "[other]\nmodule = hello:site\n"])
def test_a_uwsgi_ini_of_another_form_names_no_app(tmp_path: Path, text: str):
    assert command(tmp_path, {"uwsgi.ini": text, "hello.py": "site = 1\n", "app.py": FLASK}) == "gunicorn app:app"


def test_the_folder_of_a_named_app_is_pointed_out(tmp_path: Path):
    files = {"backend/.flaskenv": "FLASK_APP=hello\n", "backend/hello.py": FLASK}
    assert "'web: cd backend && gunicorn hello:app'" in refusal(tmp_path, files)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("hello:site", "/.flaskenv names the app 'hello:site', but hello.py has no site: correct the name"),
        ("hello:create.app", "but behind the colon must be a name or a call, such as hello:app"),
        ("hello:create_app", "hello.py: the factory create_app needs mode: give it a default, or add a Procfile"),
    ],
)
def test_a_name_that_no_server_can_call_is_refused(tmp_path: Path, value: str, reason: str):
    files = {
        ".flaskenv": f"FLASK_APP={value}\n",
        "hello.py": FACTORY.replace("mode='dev'", "mode"),
        "app.py": "x = 1\n",
    }
    with pytest.raises(DiscoveryError) as error:
        command(tmp_path, files)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("flask --app hello run", "hello"),
        ("flask -A hello:create_app run -h 0.0.0.0", "hello:create_app"),
        ("FLASK_APP=hello.py python -m flask run", "hello.py"),
        ("export FLASK_APP='hello:create_app()'; flask run", "hello:create_app()"),
        ("flask run", ""),
        ("celery -A hello worker", ""),
        ("flask db upgrade && celery --app hello worker", ""),
    ],
)
def test_the_app_of_a_command_of_flask_is_found(line: str, value: str):
    assert flask_app.of_command(line) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("hello", "gunicorn hello:app"),
        ("hello.py:create_app", "gunicorn 'hello:create_app()'"),
        ("hello:create_app('dev')", "gunicorn \"hello:create_app('dev')\""),
        ("factory", "gunicorn 'factory:create_app()'"),
        ("src/site.py", "PYTHONPATH=src gunicorn site:application"),
        ("nothing", ""),
    ],
)
def test_gunicorn_gets_the_app_that_flask_run_serves(value: str, expected: str):
    files = {
        "hello.py": (FLASK + FACTORY).encode(),
        "factory.py": FACTORY.encode(),
        "src/site.py": b"from wsgi import application\n",
    }
    assert flask_app.gunicorn_command(value, files) == expected


def test_variables_are_read_as_python_dotenv_reads_them():
    text = b"""
# FLASK_APP=old
FLASK_APP = hello # the shop
export COLOR="dark # \\"blue\\""
KEY='a#b'
EMPTY=
TWO="one
two"
broken line
"""
    assert dotenv.read(text) == {
        "FLASK_APP": "hello", "COLOR": 'dark # "blue"', "KEY": "a#b", "EMPTY": "", "TWO": "one\ntwo",
    }  # fmt: skip
