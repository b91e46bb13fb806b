"""Imports of the app's own code that fail on a server, and the sentences with their remedies."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.explain import explain

MISSING = "ModuleNotFoundError: No module named 'backend'"
# The last lines of Python 3.11 under Gunicorn 27.
METADATA = """  File "/usr/lib/python3.11/importlib/metadata/__init__.py", line 565, in from_name
    raise PackageNotFoundError(name)
importlib.metadata.PackageNotFoundError: No package metadata was found for my-shop
"""
RELATIVE = """  File "/opt/gantry/releases/3f2a91c0ffee/{}", line 1, in <module>
    {}
ImportError: attempted relative import {}
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("source", "procfile", "line"),
    [
        ("from backend.models import db\n", "gunicorn app:app", "`web: gunicorn backend.app:app`"),
        ("from backend import models\n", "gunicorn 'app:create_app()'", "`web: gunicorn 'backend.app:create_app()'`"),
        ("import backend.models\n", "uvicorn --port $PORT app:app", "`web: uvicorn --port $PORT backend.app:app`"),
        ("from backend import db\n", "gunicorn -w 2 app", "`web: gunicorn -w 2 backend.app`"),
        ("from backend.shop.views import page\n", "python app.py", "`web: python -m backend.app`"),
        ("from backend.models import *\n", "gunicorn backend.app:app", "`web: gunicorn backend.app:app`"),
        (
            "from backend.models import db\n",
            "cd shop && gunicorn app:app",
            "lines that name modules such as backend.app",
        ),
    ],
)
def test_an_app_that_imports_itself_by_the_name_of_its_folder_gets_the_folder_above(
    tmp_path: Path, source: str, procfile: str, line: str
):
    files = {"models.py": "db = 1\n", "__init__.py": "db = 2\n", "shop/views.py": "def page(): ...\n"}
    write(tmp_path, {**files, "app.py": source, "Procfile": f"web: {procfile}\n"})
    sentence = explain(MISSING, tmp_path)
    assert line in sentence
    assert "take `backend.` out of the imports" in sentence
    assert "isn't installed" not in sentence


@pytest.mark.parametrize(
    "source",
    [
        "from backend.models import Other\n",
        "from backend.models import db\nfrom backend.client import Client\n",
        "from backend import Client\n",
        "import backend\n",
        "def broken(:\n",
    ],
)
def test_a_package_with_other_modules_or_names_is_not_the_apps_folder(tmp_path: Path, source: str):
    write(tmp_path, {"models.py": "db = 1\n", "app.py": source, "Procfile": "web: gunicorn app:app\n"})
    assert "The module backend isn't installed: add backend to" in explain(MISSING, tmp_path)


def test_a_procfile_that_names_the_apps_own_folder_gets_the_line_without_it(tmp_path: Path):
    write(tmp_path, {"app.py": "app = 1\n", "Procfile": "web: gunicorn -w 2 backend.app:app --access-logfile -\n"})
    sentence = explain(MISSING, tmp_path)
    assert "write `web: gunicorn -w 2 app:app --access-logfile -` into the Procfile" in sentence
    assert "write `web: " not in explain("ModuleNotFoundError: No module named 'frontend'", tmp_path)


def test_the_settings_of_django_count_as_an_import_of_the_apps_own_folder(tmp_path: Path):
    settings = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")\n'
    write(tmp_path, {"wsgi.py": settings, "settings.py": "", "Procfile": "web: gunicorn wsgi\n"})
    assert "wsgi.py imports the app by the name of its own folder, backend" in explain(MISSING, tmp_path)
    assert "`web: gunicorn backend.wsgi`" in explain(MISSING, tmp_path)


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("Models", "The app has models, and Linux tells capitals from small letters: write models in place of Models"),
        ("shop.Views", "write views in place of Views"),
        ("Shop.views", "write shop in place of Shop"),
    ],
)
def test_a_module_with_other_capitals_is_found(tmp_path: Path, module: str, sentence: str):
    write(tmp_path, {"models.py": "", "shop/views.py": ""})
    found = explain(f"ModuleNotFoundError: No module named '{module}'", tmp_path)
    assert sentence in found
    assert "isn't installed" not in found


@pytest.mark.parametrize(
    ("file", "statement", "reason", "remedy"),
    [
        ("app.py", "from .models import db", "with no known parent package", "write `from models import db`, or make"),
        ("app.py", "from . import db, views", "with no known parent package", "write `import db, views`, or make"),
        ("app.py", "from ..models import db", "with no known parent package", "write it without the dots, or make"),
        ("app.py", "from .models import db", "with no known parent package", "`web: gunicorn <folder>.app:app`."),
        ("shop/app.py", "from .models import db", "with no known parent package", "such as `gunicorn shop.app:app` or"),
        (
            "shop/app.py",
            "from ..models import db",
            "beyond top-level package",
            "write `from models import db`, or make",
        ),
        (
            "shop/app.py",
            "from ..models import db",
            "beyond top-level package",
            "`web: gunicorn <folder>.shop.app:app`.",
        ),
    ],
)
def test_a_relative_import_outside_of_a_package_gets_its_absolute_form(
    tmp_path: Path, file: str, statement: str, reason: str, remedy: str
):
    text = RELATIVE.format(file, statement, reason)
    assert remedy in explain(text, tmp_path)
    assert remedy in explain(text.replace("\nImport", "\n    ^^^^^^\nImport"), tmp_path)


def test_a_relative_import_in_a_package_of_others_has_no_known_cause(tmp_path: Path):
    text = RELATIVE.format("x", "from . import a", "with no known parent package")
    assert explain(text.replace("/opt/gantry/releases/3f2a91c0ffee/x", "/opt/gantry/venvs/1/lib/a.py"), tmp_path) == ""


@pytest.mark.parametrize(
    ("files", "remedy"),
    [
        ({"uv.lock": ""}, "only the packages that uv.lock lists besides it: catch PackageNotFoundError there"),
        ({"poetry.lock": ""}, "that poetry.lock lists besides it"),
        ({"Pipfile.lock": ""}, "run `pipenv install -e .` and commit Pipfile.lock; or catch"),
        ({"pylock.toml": ""}, "write pylock.toml with the project itself"),
        ({"requirements.txt": ""}, "add the line `.` to requirements.txt"),
        ({}, "add a requirements.txt with the line `.`, which"),
    ],
)
def test_missing_metadata_of_the_app_itself_gets_what_installs_it_or_another_value(
    tmp_path: Path, files: dict[str, str], remedy: str
):
    write(tmp_path, {"pyproject.toml": '[project]\nname = "My.Shop"\n', **files})
    sentence = explain(METADATA, tmp_path)
    assert sentence.startswith("my-shop is the app itself, which isn't among the installed packages")
    assert remedy in sentence
    assert '`__version__ = "0"`' in sentence


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": '[tool.poetry]\nname = "my_shop"\n'},
        {"setup.cfg": "[metadata]\nname = my-shop\n"},
        {"setup.py": "setup(name='my-shop')\n"},
    ],
)
def test_every_file_that_names_the_app_as_a_package_is_read(tmp_path: Path, files: dict[str, str]):
    assert "my-shop is the app itself" in explain(METADATA, write(tmp_path, files))


@pytest.mark.parametrize("project", ['[project]\nname = "web"\n', "[project", "project = 1\n", None])
def test_missing_metadata_of_another_package_gets_the_file_to_add_it_to(tmp_path: Path, project: str | None):
    write(tmp_path, {"requirements.txt": "", **({"pyproject.toml": project} if project else {})})
    assert explain(METADATA, tmp_path) == "The package my-shop isn't installed: add my-shop to requirements.txt."
    older = "importlib.metadata.PackageNotFoundError: my-shop\n"
    assert "add my-shop to requirements.txt" in explain(older, tmp_path)
    oldest = "pkg_resources.DistributionNotFound: The 'my-shop>=1' distribution was not found and is required by web"
    assert "add my-shop to requirements.txt" in explain(oldest, tmp_path)
