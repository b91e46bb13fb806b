"""WEB_CONCURRENCY in the command of a web process: the number of workers that Gunicorn starts without options."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from components.server.configuration import configuration
from host import procfile
from host.deployment import with_concurrency
from host.paths import Paths
from tests.stack_settings import make_settings

ALL = str(len(os.sched_getaffinity(0)) + 1)


def run(tmp_path: Path, command: str, workers: int | None = None, **env: str) -> str:
    """What the web script of a server prints."""
    settings = configuration(make_settings(app=tmp_path, workers=workers), "/h.pyz")
    script = tmp_path / "web"
    script.write_bytes(
        procfile.script(with_concurrency(command, settings.files[str(Paths().gunicorn_settings)].encode()))
    )
    script.chmod(0o755)
    variables = {name: value for name, value in os.environ.items() if name != "WEB_CONCURRENCY"}
    return subprocess.run([script], env={**variables, **env}, check=True, capture_output=True, text=True).stdout


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


def test_other_commands_stay_as_they_are():
    assert with_concurrency("gunicorn app:app", b"") == "gunicorn app:app"
