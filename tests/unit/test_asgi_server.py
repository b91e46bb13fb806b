"""The server that an ASGI app without a Procfile gets: one that is among its packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.app.dependencies import DependencyError
from components.app.discovery import DiscoveryError
from tests.unit.discovered_apps import FASTAPI, command, refusal


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        ("fastapi\nuvicorn-worker==0.4\nuvicorn\n", "gunicorn -k uvicorn_worker.UvicornWorker main:app"),
        ("fastapi\nuvicorn_worker\n", "gunicorn -k uvicorn_worker.UvicornWorker main:app"),
        ("fastapi\nUvicorn[standard]>=0.30 ; python_version > '3.8'\n", "uvicorn --uds $GANTRY_SOCKET main:app"),
        ("fastapi[all, standard]\n", "uvicorn --uds $GANTRY_SOCKET main:app"),
        ("hypercorn\n", "hypercorn --bind unix:$GANTRY_SOCKET main:app"),
        ("quart\n", "hypercorn --bind unix:$GANTRY_SOCKET main:app"),
        ("granian\n", "granian --interface asgi --uds $GANTRY_SOCKET main:app"),
        ("daphne\n", "daphne --proxy-headers -u $GANTRY_SOCKET main:app"),
    ],
)
def test_an_asgi_app_gets_a_server_that_is_among_its_packages(tmp_path: Path, packages: str, expected: str):
    assert command(tmp_path, {"main.py": FASTAPI}, packages) == expected


POETRY = '[[package]]\nname = "uvicorn"\nversion = "0.30"\ngroups = ["{}"]\n'
UV = """[[package]]
name = "shop"
source = {{ virtual = "." }}
dependencies = [{{ name = "fastapi" }}]
dev-dependencies.dev = [{{ name = "{}" }}]
[[package]]
name = "fastapi"
dependencies = [{{ name = "{}" }}]
"""
SHOP = '[project]\nname = "shop"\ndependencies = ["fastapi"]\n'


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": SHOP, "uv.lock": UV.format("x", "uvicorn")},
        {"pyproject.toml": "[tool.poetry.dependencies]\nuvicorn = '*'\n", "poetry.lock": POETRY.format("main")},
        {"Pipfile.lock": '{"default": {"uvicorn": {"version": "==0.30"}}}'},
        {"pylock.toml": '[[packages]]\nname = "uvicorn"\n'},
        {"pyproject.toml": '[project]\ndependencies = ["fastapi", "uvicorn>=0.30"]\n'},
        {"requirements.txt": "-r base.txt\n", "base.txt": "uvicorn\n"},
        {"requirements.txt": "-r deps/base.txt\n", "deps/base.txt": "-r more.txt", "deps/more.txt": "uvicorn"},
        {"requirements.txt": "fastapi\nuvicorn==0.30 \\\n  --hash=sha256:ab\n".encode("utf-16")},
        {"requirements.txt": "-e .\n", "pyproject.toml": SHOP.replace("fastapi", "uvicorn")},
        {
            "requirements.txt": "-e .[web]\n",
            "pyproject.toml": SHOP + "[project.optional-dependencies]\nweb = ['uvicorn']\n",
        },
        {"requirements.txt": "-e git+https://example.org/uvicorn@main#egg=uvicorn\n"},
    ],
)
def test_the_server_may_be_named_in_any_file_that_is_installed(tmp_path: Path, files: dict[str, str | bytes]):
    assert command(tmp_path, {"main.py": FASTAPI, **files}, "").startswith("uvicorn ")


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": SHOP, "uv.lock": UV.format("uvicorn", "x")},
        {
            "poetry.lock": POETRY.format("dev"),
            "pyproject.toml": "[tool.poetry.dependencies]\nx = '*'\n[tool.poetry.group.dev.dependencies]\nu = '*'\n",
        },
        {"Pipfile.lock": '{"default": {}, "develop": {"uvicorn": {"version": "==0.30"}}}'},
        {"pylock.toml": "[[packages]]\nname = 'uvicorn'\nmarker = \"'dev' in dependency_groups\"\n"},
        {"pyproject.toml": SHOP + "[dependency-groups]\ndev = ['uvicorn']\n[tool.x]\nwords = [\n  'hypercorn',\n]\n"},
        {
            "requirements.txt": "-e .\n",
            "pyproject.toml": SHOP + "[project.optional-dependencies]\nweb = ['uvicorn']\n",
        },
        {"requirements.txt": "fastapi\n", "requirements-dev.txt": "uvicorn\n"},
        {"requirements.txt": "fastapi\n-c limits.txt\n", "limits.txt": "uvicorn==0.30\n"},
        {"requirements.txt": "fastapi\nuvicorn; sys_platform == 'win32'\n"},
    ],
)
def test_a_server_that_is_not_installed_is_not_chosen(tmp_path: Path, files: dict[str, str | bytes]):
    assert "none of its packages can serve it" in refusal(tmp_path, {"main.py": FASTAPI, **files}, "")


@pytest.mark.parametrize("packages", ["fastapi\n", "fastapi\nmy-uvicorn\nuvicorn-extra\n# uvicorn\n"])
def test_an_asgi_app_without_a_server_is_refused_with_the_package_to_add(tmp_path: Path, packages: str):
    with pytest.raises(DiscoveryError, match=r"the ASGI app main:app, .*add uvicorn-worker to requirements\.txt"):
        command(tmp_path, {"main.py": FASTAPI}, packages)


FACTORY = "from fastapi import FastAPI\ndef create_app():\n    return FastAPI()\n"


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        ("uvicorn", "uvicorn --uds $GANTRY_SOCKET --factory main:create_app"),
        ("granian\ndaphne", "granian --interface asgi --uds $GANTRY_SOCKET --factory main:create_app"),
        ("hypercorn", "hypercorn --bind unix:$GANTRY_SOCKET 'main:create_app()'"),
    ],
)
def test_each_server_calls_a_factory_in_its_own_way(tmp_path: Path, packages: str, expected: str):
    assert command(tmp_path, {"main.py": FACTORY}, packages) == expected


def test_a_lock_without_names_is_refused_without_a_traceback(tmp_path: Path):
    with pytest.raises(DependencyError, match=r"pylock\.toml can't be read"):
        command(tmp_path, {"main.py": FASTAPI, "pylock.toml": "[[packages]]\nversion = '1'\n"}, "")
