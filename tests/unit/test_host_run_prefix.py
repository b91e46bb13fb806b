"""`poetry run`, `pipenv run` and `uv run` in front of an app's command."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from components.server.host_program import archive
from host import run_prefix
from host.errors import ReleaseError

PYPROJECT = """
[project.scripts]
shop = "shop.cli:main"
[tool.poetry.scripts]
serve = "shop.web:Server.run"
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("poetry run gunicorn app:app", "gunicorn app:app"),
        ("poetry run -- gunicorn -b 0.0.0.0:80 app:app", "gunicorn -b 0.0.0.0:80 app:app"),
        ("poetry -n --quiet run python -m shop", "python -m shop"),
        ("pipenv run gunicorn app:app", "gunicorn app:app"),
        ("pipenv --python 3.12 run flask run", "flask run"),
        ("uv run gunicorn app:app", "gunicorn app:app"),
        ("uv run --no-sync --frozen -- python -m shop -v", "python -m shop -v"),
        ("uv -q run --group prod --extra=web -p 3.12 -p3.12 gunicorn app:app", "gunicorn app:app"),
        ("uv run -m shop.web --port 1", "python -m shop.web --port 1"),
        ("uv run --module shop", "python -m shop"),
        ("uv run app.py --port 1", "python app.py --port 1"),
        ("uv run -s tool", "python tool"),
        ("uv run folder x", "python folder x"),
        ("uv run --directory other app", "app"),
    ],
)
def test_the_command_behind_the_prefix_runs(tmp_path: Path, line: str, words: str):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/__main__.py").touch()
    tool, *arguments = line.split()
    run = run_prefix.command(tool, arguments, tmp_path)
    assert run
    assert run.words == words.split()
    assert run.folder == ("other" if "other" in line else ".")


@pytest.mark.parametrize("tool", ["poetry", "uv"])
@pytest.mark.parametrize(
    ("name", "statement"),
    [("shop", "from shop.cli import main"), ("serve", "from shop.web import Server; sys.argv[0] = 'serve'")],
)
def test_a_script_of_the_project_runs_although_the_project_is_not_installed(
    tmp_path: Path, tool: str, name: str, statement: str
):
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    run = run_prefix.command(tool, ["run", name, "--fast"], tmp_path)
    assert run
    assert (run.words[:2], run.words[3:]) == (["python", "-c"], ["--fast"])
    assert statement in run.words[2]


def test_a_script_of_the_pipfile_is_a_command_line(tmp_path: Path):
    (tmp_path / "Pipfile").write_text("[scripts]\nstart = \"gunicorn --log-level 'info' app:app\"\n")
    run = run_prefix.command("pipenv", ["run", "start", "--reload"], tmp_path)
    assert run
    assert run.words == ["gunicorn", "--log-level", "info", "app:app", "--reload"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("uv run --with gunicorn gunicorn app:app", "--with has no effect on a server: add the package"),
        ("uv run --env-file .env app.py", "pulumi config set --path env.NAME"),
        ("poetry run", "names no command"),
    ],
)
def test_an_option_that_would_change_packages_or_variables_is_refused(tmp_path: Path, line: str, error: str):
    tool, *arguments = line.split()
    with pytest.raises(ReleaseError, match=error):
        run_prefix.command(tool, arguments, tmp_path)


@pytest.mark.parametrize(
    ("line", "ignored"),
    [
        ("uv run --extra prod --group=web gunicorn app:app", ("--extra", "--group")),
        ("uv run --only-group web gunicorn app:app", ("--only-group",)),
        ("uv run --no-dev --frozen gunicorn app:app --extra x", ()),
        ("poetry --quiet run gunicorn app:app --group a", ()),
    ],
)
def test_options_that_choose_packages_are_known(tmp_path: Path, line: str, ignored: tuple[str, ...]):
    tool, *arguments = line.split()
    run = run_prefix.command(tool, arguments, tmp_path)
    assert run
    assert run.ignored == ignored


@pytest.fixture
def shim(tmp_path: Path) -> Path:
    """The folder of the programs, as on a server; the host program is that of this checkout."""
    program = tmp_path / "host.pyz"
    program.write_bytes(archive())
    prefixes = tmp_path / "prefixes"
    prefixes.mkdir()
    for tool in run_prefix.TOOLS:
        command = shlex.join([sys.executable, "-I", str(program), "run-prefix"])
        (prefixes / tool).write_text(f'#!/bin/sh\nexec {command} "$0" "$@"\n')
        (prefixes / tool).chmod(0o755)
    return prefixes


def bash(line: str, shim: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{shim}:/usr/bin:/bin"}
    return subprocess.run(["/bin/bash", "-c", line], env=env, cwd=shim.parent, capture_output=True, text=True)


def test_a_prefix_works_several_times_in_a_line_and_replaces_itself(shim: Path):
    result = bash(
        "poetry run echo one && uv run pipenv run printenv GANTRY_TEST_RUN | cat; uv run sh -c 'echo $$'", shim
    )
    assert result.stdout.startswith("one\n")
    assert len(result.stdout.split()) == 3


def test_options_without_effect_are_said_in_one_line(shim: Path):
    result = bash("uv run --extra prod --extra web --group a echo served", shim)
    assert result.stdout == "served\n"
    assert result.stderr.splitlines() == [
        "uv run: --extra, --group are ignored: the packages are those of the lock. List what the app needs in"
        " dependencies of pyproject.toml, and lock again"
    ]


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("poetry run nothing-like-this", 127, "poetry run: nothing-like-this: command not found"),
        ("poetry install", 1, "`poetry install` can't run on a server, where poetry has only `run`"),
        ("uv sync && true", 1, "Take `uv sync` out of the command, or add uv to the app's packages"),
    ],
)
def test_an_error_says_what_to_change(shim: Path, line: str, code: int, error: str):
    result = bash(line, shim)
    assert result.returncode == code
    assert error in result.stderr


def test_a_tool_that_the_app_installs_itself_gets_its_other_commands(shim: Path):
    own = shim.parent / "uv"
    own.write_text('#!/bin/sh\necho own "$@"\n')
    own.chmod(0o755)
    assert bash(f"PATH=$PATH:{shim.parent} uv sync --frozen", shim).stdout == "own sync --frozen\n"
