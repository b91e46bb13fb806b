"""The table in docs/your-app.md of who wins, tried with Gunicorn itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.server.configuration import configuration
from host.paths import Paths
from tests.stack_settings import make_settings

PRINT = """
import json, sys
from gunicorn.app.wsgiapp import WSGIApplication
app = WSGIApplication()
names = ("workers", "threads", "timeout", "bind", "preload_app", "proc_name", "chdir")
print(json.dumps({name: app.cfg.settings[name].get() for name in names}))
"""
OWN = "import os\nthreads = 7\ntimeout = 9\nbind = '0.0.0.0:8000'\nproc_name = __file__ + ' ' + __name__\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    return tmp_path / "app"


def effective(app: Path, *options: str, workers: int | None = None, **env: str) -> dict[str, object]:
    """The values that Gunicorn takes in the app's folder, with the settings and the variable of a server."""
    settings = configuration(make_settings(app=app, workers=workers), "/h.pyz").files[str(Paths().gunicorn_settings)]
    file = app.parent / "gantry.conf.py"
    file.write_text(settings)
    arguments = f"--config {file} --bind unix:/run/gantry/a.sock"
    result = subprocess.run(
        [sys.executable, "-c", PRINT, *options, "app:app"],
        env={**os.environ, "GUNICORN_CMD_ARGS": arguments, **env},
        cwd=app,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_gantrys_settings_hold_without_others(app: Path):
    values = effective(app)
    assert (values["threads"], values["timeout"], values["preload_app"]) == (4, 60, True)
    assert values["bind"] == ["unix:/run/gantry/a.sock"]


def test_the_apps_own_file_wins_over_gantrys_settings_but_not_over_its_socket(app: Path):
    (app / "gunicorn.conf.py").write_text(OWN)
    values = effective(app)
    assert (values["threads"], values["timeout"], values["preload_app"]) == (7, 9, True)
    assert values["bind"] == ["unix:/run/gantry/a.sock"]


def test_the_apps_own_file_has_its_own_name_and_module(app: Path):
    (app / "gunicorn.conf.py").write_text(OWN)
    assert effective(app)["proc_name"] == f"{app / 'gunicorn.conf.py'} __config__"


def test_a_class_of_the_apps_own_file_finds_its_module(app: Path):
    # Dataclasses look their module up.
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    text += "@dataclass\nclass Size:\n    threads: int = 5\nthreads = Size().threads\n"
    (app / "gunicorn.conf.py").write_text(text)
    assert effective(app)["threads"] == 5


def test_a_file_of_the_command_line_replaces_gantrys_settings_and_the_apps_own_file(app: Path):
    (app / "gunicorn.conf.py").write_text(OWN)
    (app / "other.py").write_text("timeout = 11\n")
    values = effective(app, "-c", "other.py")
    assert (values["threads"], values["timeout"], values["preload_app"]) == (1, 11, False)
    assert values["bind"] == ["unix:/run/gantry/a.sock"]


def test_the_command_line_wins_over_everything(app: Path):
    (app / "gunicorn.conf.py").write_text(OWN)
    values = effective(app, "--threads", "2", "-b", "0.0.0.0:20001", "-w", "3", workers=5)
    assert (values["threads"], values["workers"], values["bind"]) == (2, 3, ["0.0.0.0:20001"])


def test_web_concurrency_counts_unless_the_setting_workers_is_set(app: Path):
    assert effective(app, WEB_CONCURRENCY="6")["workers"] == 6
    assert effective(app, workers=5, WEB_CONCURRENCY="6")["workers"] == 5
    assert effective(app)["workers"] == len(os.sched_getaffinity(0)) + 1
