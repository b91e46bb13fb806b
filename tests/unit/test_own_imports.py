"""Imports of the app's own code that fail on every server, found while the app is packed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.app import artifact
from components.app.own_imports import OwnImportError
from components.app.source import Source
from components.errors import UserError
from host import own_folder

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
IMPORT = "from backend.models import db\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    """An app in the folder backend of another one."""
    app = folder / "backend"
    for name, text in {"requirements.txt": "flask\n", "models.py": "db = 1\n", **files}.items():
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(text)
    return app


def refusal(app: Path) -> str:
    with pytest.raises(OwnImportError) as error:
        artifact.contents(app)
    return str(error.value)


def test_an_app_that_imports_itself_by_its_folders_name_is_refused_with_the_folder_above(tmp_path: Path):
    text = refusal(write(tmp_path, {"app.py": IMPORT + FLASK}))
    assert text.startswith(
        f"{tmp_path}/backend/app.py, line 1: it imports backend.models, but backend is the app's own"
    )
    assert f"`pulumi config set app {tmp_path}`" in text
    assert "a requirements.txt with the line `-r backend/requirements.txt`" in text
    assert "a Procfile with the line 'web: gunicorn backend.app:app' there" in text
    assert text.endswith("or take `backend.` out of the imports")


def gunicorn_imports(folder: Path, target: str) -> str:
    """The output of Gunicorn that imports an app in a folder, whose own packages may not be on the path."""
    command = [sys.executable, "-m", "gunicorn", "--check-config", target]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    return "imported" if result.returncode == 0 else result.stdout + result.stderr


def test_gunicorn_imports_the_app_only_from_the_folder_above(tmp_path: Path):
    app = write(tmp_path, {"app.py": IMPORT + FLASK})
    assert "No module named 'backend'" in gunicorn_imports(app, "app:app")
    (tmp_path / "Procfile").write_text("web: gunicorn backend.app:app\n")
    (tmp_path / "requirements.txt").write_text("-r backend/requirements.txt\n")
    assert artifact.contents(tmp_path).members
    assert gunicorn_imports(tmp_path, "backend.app:app") == "imported"


@pytest.mark.parametrize(
    "files",
    [
        {
            "wsgi.py": "from shop import app\n",
            "shop/__init__.py": "from . import views\n" + FLASK,
            "shop/views.py": IMPORT,
        },
        {"app.py": "import routes\n" + FLASK, "routes.py": IMPORT},
        {"app.py": IMPORT + FLASK, "Procfile": "web: uvicorn app:app --port $PORT\n"},
        {"app.py": IMPORT + FLASK, "Procfile": "web: gunicorn backend.app:app\n"},
        {"serve.py": IMPORT, "Procfile": "web: python serve.py\n"},
    ],
)
def test_every_module_that_the_web_command_imports_counts(tmp_path: Path, files: dict[str, str]):
    assert "it imports backend.models, but backend is the app's own" in refusal(write(tmp_path, files))


@pytest.mark.parametrize(
    "files",
    [
        {"app.py": "try:\n    from backend.models import db\nexcept ImportError:\n    from models import db\n" + FLASK},
        {"app.py": "from backend.models import Other\n" + FLASK},
        {"app.py": IMPORT + FLASK, "backend/models.py": "db = 1\n"},
        {"app.py": IMPORT + FLASK, "Procfile": "build: ln -s . backend\nweb: gunicorn app:app\n"},
        {"app.py": IMPORT + FLASK, "requirements.txt": "flask\n-e .\n", "setup.py": ""},
        {"app.py": IMPORT + FLASK, "Procfile": "web: PYTHONPATH=lib gunicorn app:app\n"},
        {"app.py": FLASK, "tests/test_app.py": IMPORT, "seed.py": IMPORT},
        {"shop/app.py": "from .models import db\n" + FLASK, "shop/__init__.py": "", "shop/models.py": "db = 1\n"},
        {"app.py": "def later():\n    from .models import db\n" + FLASK},
    ],
)
def test_imports_that_may_work_are_packed(tmp_path: Path, files: dict[str, str]):
    assert artifact.contents(write(tmp_path, files)).members


@pytest.mark.parametrize(
    ("folder", "module", "packages"),
    [
        # Modules of Python, of a package, and of a package with another name.
        ("email", "message", ""),
        ("redis", "client", "redis>=5\n"),
        ("telegram", "ext", "python-telegram-bot[webhooks]\n"),
        # The app installs itself.
        ("backend", "models", "-r more.txt\n"),
        ("backend", "models", "backend @ file:.\n"),
    ],
)
def test_a_folder_with_the_name_of_an_installed_module_is_packed(
    tmp_path: Path, folder: str, module: str, packages: str
):
    imports = f"from {folder}.{module} import Thing\n"
    files = {
        "app.py": imports + FLASK,
        f"{module}.py": "class Thing:\n    pass\n",
        "requirements.txt": f"flask\n{packages}",
        "more.txt": "-e .\n",
        "setup.py": "",
    }
    app = write(tmp_path, files).rename(tmp_path / f"{folder}s").rename(tmp_path / folder)
    assert artifact.contents(app).members


@pytest.mark.parametrize(
    "files",
    [
        {"app.py": "import sys\n\nsys.path.insert(0, 'src')\n" + IMPORT + FLASK, "src/backend/models.py": "db = 1\n"},
        {
            "app.py": IMPORT + FLASK,
            "gunicorn.conf.py": "pythonpath = 'lib'\n",
            "lib/backend.py": "class models: db = 1\n",
        },
        {"app.py": "import sys\n\nsys.modules['backend'] = sys.modules[__name__]\n" + IMPORT + FLASK},
    ],
)
def test_an_app_that_makes_a_module_with_its_folders_name_is_packed(tmp_path: Path, files: dict[str, str]):
    assert artifact.contents(write(tmp_path, files)).members


@pytest.mark.parametrize("command", ["flask --app app run --port $PORT", "fastapi run app.py --port $PORT"])
def test_a_command_that_imports_the_app_as_a_part_of_its_package_may_serve_relative_imports(
    tmp_path: Path, command: str
):
    files = {"app.py": "from .models import db\n" + FLASK, "Procfile": f"web: {command}\n"}
    assert "works only in a package" in refusal(write(tmp_path, files))
    (tmp_path / "backend/__init__.py").touch()
    assert artifact.contents(tmp_path / "backend").members


@pytest.mark.parametrize("imported", ["    from . import models\n", "    from backend import models\n"])
def test_an_app_that_is_a_package_itself_is_served_from_above(tmp_path: Path, imported: str):
    factory = f"from flask import Flask\ndef create_app():\n{imported}    return Flask(__name__)\n"
    app = write(tmp_path, {"__init__.py": factory})
    with pytest.raises(UserError) as error:
        artifact.contents(app)
    assert "is a package itself, with the app in __init__.py: make the folder above it the app" in str(error.value)
    assert "'web: gunicorn 'backend:create_app()''" in str(error.value)
    assert gunicorn_imports(tmp_path, "backend:create_app()") == "imported"


def test_a_web_line_that_names_the_apps_own_folder_gets_the_line_without_it(tmp_path: Path):
    text = refusal(write(tmp_path, {"app.py": FLASK, "Procfile": "web: gunicorn -w 2 backend.app:app\n"}))
    assert "names backend.app, but backend is the app's own folder" in text
    assert text.endswith("write 'web: gunicorn -w 2 app:app'")


def test_a_repository_of_its_own_has_no_folder_above(tmp_path: Path):
    app = write(tmp_path, {"app.py": IMPORT + FLASK})
    subprocess.run(["git", "init", "--quiet"], cwd=app, check=True)
    text = refusal(app)
    assert "move the app's modules into a folder backend of the app, and write 'web: gunicorn backend.app:app'" in text
    assert str(tmp_path) + "`" not in text


@pytest.mark.parametrize(
    ("source", "absolute"),
    [("from .models import db\n", "from models import db"), ("from . import models\n", "import models")],
)
def test_a_relative_import_of_a_served_module_is_refused_with_its_absolute_form(
    tmp_path: Path, source: str, absolute: str
):
    text = refusal(write(tmp_path, {"app.py": source + FLASK}))
    assert f"line 1: `{source.strip()}` works only in a package" in text
    assert f"write `{absolute}`, or make the folder above it the app" in text


def test_a_relative_import_of_a_script_in_a_folder_gets_the_option_m(tmp_path: Path):
    files = {"shop/serve.py": "from . import views\n", "shop/views.py": "", "Procfile": "web: python shop/serve.py\n"}
    text = refusal(write(tmp_path, files))
    assert text.endswith(
        "python runs shop/serve.py as a file of its own: write `python -m shop.serve` into the Procfile"
    )
    (tmp_path / "backend/Procfile").write_text("web: python -m shop.serve\n")
    assert artifact.contents(tmp_path / "backend").members


def test_a_word_of_the_command_that_only_looks_like_a_module_is_not_served(tmp_path: Path):
    files = {"run.py": IMPORT, "app.py": FLASK, "Procfile": "web: flask --app app run --port $PORT\n"}
    assert artifact.contents(write(tmp_path, files)).members


def test_the_error_about_a_revision_names_the_folders_of_the_repository(tmp_path: Path):
    app = write(tmp_path, {"app.py": IMPORT + FLASK})
    git = ["git", "-c", "user.name=shop", "-c", "user.email=shop@example.org"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=shop"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    with pytest.raises(UserError) as error:
        Source(app, "HEAD").pack(tmp_path / "out")
    assert f"{app} at HEAD/app.py, line 1" in str(error.value)
    assert f"`pulumi config set app {tmp_path}`" in str(error.value)


@pytest.mark.parametrize(
    "source",
    ["from backend import db", "if True: import os, backend.db", "x = 'backend.settings'", "import backend as b"],
)
def test_a_module_that_names_the_folder_is_read(source: str):
    assert own_folder.may_name("backend", f"import os\n{source}\n".encode())


@pytest.mark.parametrize("source", ["import backend2", "from other import x  # not backend", "backend = 'the backend'"])
def test_a_module_with_the_folders_name_in_other_words_needs_not_be_read(source: str):
    assert not own_folder.may_name("backend", source.encode())
