"""WEB_CONCURRENCY in the command of a web process: the number of workers that Gunicorn starts without options."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from components.server.configuration import configuration
from host import procfile
from host.concurrency import with_concurrency
from host.paths import Paths
from tests.stack_settings import make_settings

ALL = str(len(os.sched_getaffinity(0)) + 1)


def run(tmp_path: Path, command: str, workers: int | None = None, **env: str) -> str:
    """What the web script of a server prints."""
    settings = configuration(make_settings(app=tmp_path, workers=workers), "/h.pyz")
    script = tmp_path / "web"
    script.write_bytes(
        procfile.script(with_concurrency(command, settings.files[str(Paths().gunicorn_settings)].encode(), tmp_path))
    )
    script.chmod(0o755)
    variables = {name: value for name, value in os.environ.items() if name != "WEB_CONCURRENCY"}
    return subprocess.run(
        [script], cwd=tmp_path, env={**variables, **env}, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize(
    ("workers", "env", "number"),
    [
        (None, {}, ALL),
        (None, {"OMP_NUM_THREADS": "64"}, ALL),
        (5, {}, "5"),
        (5, {"WEB_CONCURRENCY": "7"}, "7"),
        (None, {"WEB_CONCURRENCY": "7"}, "7"),
        (5, {"WEB_CONCURRENCY": ""}, "5"),
    ],
)
@pytest.mark.parametrize("command", ["echo --workers $WEB_CONCURRENCY", "true && echo --workers ${WEB_CONCURRENCY:-1}"])
def test_the_command_line_has_the_users_value_or_else_the_number_of_workers(
    tmp_path: Path, command: str, workers: int | None, env: dict[str, str], number: str
):
    assert run(tmp_path, command, workers, **env) == f"--workers {number}\n"


def test_programs_inherit_only_the_users_value(tmp_path: Path):
    command = "printenv WEB_CONCURRENCY || echo none # $WEB_CONCURRENCY"
    assert run(tmp_path, command) == "none\n"
    assert run(tmp_path, command, WEB_CONCURRENCY="7") == "7\n"


def test_the_last_command_still_replaces_the_shell(tmp_path: Path):
    assert "bash" not in run(tmp_path, "ps -o comm= -p $$ -C none$WEB_CONCURRENCY")


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("sh start.sh", "start.sh"),
        ("bash ./start.sh --fast", "start.sh"),
        ("cd deploy && sh start.sh", "deploy/start.sh"),
        ("sh -c 'sh start.sh'", "start.sh"),
    ],
)
def test_a_script_of_the_app_that_uses_the_variable_inherits_it(tmp_path: Path, command: str, file: str):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("exec echo --workers $WEB_CONCURRENCY\n")
    assert run(tmp_path, command, 5) == "--workers 5\n"
    assert run(tmp_path, command, 5, WEB_CONCURRENCY="7") == "--workers 7\n"


def test_a_shell_with_a_command_in_single_quotes_inherits_it(tmp_path: Path):
    assert run(tmp_path, "bash -c 'exec echo --workers ${WEB_CONCURRENCY}'", 5) == "--workers 5\n"


def test_a_settings_file_of_gunicorn_that_uses_the_variable_inherits_it(tmp_path: Path):
    (tmp_path / "gunicorn.conf.py").write_text("import os\nworkers = int(os.environ['WEB_CONCURRENCY'])\n")
    assert with_concurrency("gunicorn app:app", b"workers = 3\n", tmp_path).endswith(
        "export WEB_CONCURRENCY; gunicorn app:app"
    )
    assert with_concurrency("uvicorn app:app", b"workers = 3\n", tmp_path) == "uvicorn app:app"


def test_other_commands_stay_as_they_are(tmp_path: Path):
    (tmp_path / "start.sh").write_text("exec uvicorn app:app\n")
    for command in ("gunicorn app:app", "sh start.sh", "/bin/true ../x $A '*' http://a"):
        assert with_concurrency(command, b"", tmp_path) == command
