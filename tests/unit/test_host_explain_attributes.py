"""The sentence for a web server that doesn't find its app in a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.explain import explain

GUNICORN = "Failed to find attribute '{}' in '{}'."
UVICORN = 'Error loading ASGI app. Attribute "{}" not found in module "{}".'


@pytest.mark.parametrize(
    ("error", "attribute", "lines"),
    [
        (GUNICORN, "application", ["`web: gunicorn shop:app`", "`web: gunicorn 'shop:create_app()'`"]),
        (GUNICORN, "app", ["`web: gunicorn shop:application`"]),
        (GUNICORN, "create_app", ["`web: gunicorn shop:application`", "`web: gunicorn 'shop:make_app()'`"]),
        (UVICORN, "app", ["$GANTRY_SOCKET shop:application`", "`web: uvicorn --uds $GANTRY_SOCKET --factory shop:cre"]),
        (UVICORN, "application", ["`web: uvicorn --uds $GANTRY_SOCKET shop:app`"]),
    ],
)
def test_the_attribute_that_is_missing_is_never_proposed(error: str, attribute: str, lines: list[str]):
    sentence = explain(error.format(attribute, "shop"))
    assert all(line in sentence for line in lines)
    assert f"shop:{attribute}`" not in sentence and f"shop:{attribute}()" not in sentence


@pytest.mark.parametrize(
    ("file", "source", "line"),
    [
        ("shop/web.py", "app = Flask(__name__)\n", "has no wsgi, but app: write `web: gunicorn shop.web:app`."),
        ("shop/web/__init__.py", "from .core import app\n", "`web: gunicorn shop.web:app`."),
        (
            "src/shop/web.py",
            "try:\n    application: object = make()\nfinally: pass\n",
            "gunicorn shop.web:application`.",
        ),
        ("shop/web.py", "def create_app(name='a', *, debug=0): pass\n", "`web: gunicorn 'shop.web:create_app()'`."),
        ("shop/web.py", "def create_app(name): pass\nserver = create_app('a')\n", "`web: gunicorn shop.web:server`."),
    ],
)
def test_another_app_of_the_module_is_proposed(tmp_path: Path, file: str, source: str, line: str):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(source)
    assert line in explain(GUNICORN.format("wsgi", "shop.web"), tmp_path)


@pytest.mark.parametrize(
    "source", ["def broken(:\n", "from x import api\n", "if __name__ == '__main__':\n    app = make()\n", "\0"]
)
def test_a_module_without_another_app_gets_an_example(tmp_path: Path, source: str):
    (tmp_path / "shop.py").write_text(source)
    assert "such as `web: gunicorn shop:application`" in explain(GUNICORN.format("app", "shop"), tmp_path)
    assert "gunicorn /srv:application`" in explain(GUNICORN.format("app", "/srv"), tmp_path)
