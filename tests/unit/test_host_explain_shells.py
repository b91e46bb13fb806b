"""Sentences for what bash and dash themselves write when a command fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from host.explain import explain


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plain.sh").write_text("exit\n")
    return tmp_path


def errors(folder: Path, program: str, command: str) -> str:
    """What the shell writes for a command of the Procfile, and for the same command on line 3 of a script."""
    (folder / "start.sh").write_text(f"#!/bin/sh\n\n{command}\n")
    runs = ([program, "-c", command], [program, "./start.sh"])
    lines = "".join(subprocess.run(run, cwd=folder, capture_output=True, text=True).stderr for run in runs)
    return lines.replace(str(folder), "/opt/gantry/instances/1-2/app")


@pytest.mark.parametrize("program", ["/bin/bash", "dash"])
@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("no-such-server --port 1", "The command no-such-server isn't installed."),
        ("exec no-such-server", "The command no-such-server isn't installed."),
        ("'gunicorn app:app'", "take them out, and write gunicorn app:app into the Procfile."),
        ("./missing.sh", "missing.sh"),
        ("./plain.sh", "run `chmod +x ./plain.sh` and commit it, or write `sh ./plain.sh`"),
        ("exec ./plain.sh", "plain.sh isn't executable: run `chmod +x"),
        ("cat < missing.json", "missing.json isn't in the release"),
        (". ./missing.env", "missing.env isn't part of a release"),
        ("cd missing && gunicorn app:app", "missing isn't in the release"),
        ("echo a > missing/out.log", "missing/out.log isn't in the release"),
        ("set -u; echo $SHOP_TOKEN", "pulumi config set --path env.SHOP_TOKEN <value>"),
        ("echo ${SHOP_TOKEN:?}", "pulumi config set --path env.SHOP_TOKEN <value>"),
    ],
)
def test_an_error_of_the_shell_has_one_sentence(folder: Path, program: str, command: str, sentence: str):
    lines = errors(folder, program, command)
    assert len(lines.splitlines()) >= 2
    assert len(explain(lines).splitlines()) <= 2
    assert [line for line in lines.splitlines() if sentence not in explain(line)] == []


def test_a_script_with_line_ends_of_windows_is_told_from_a_missing_one():
    for line in (
        "/bin/bash: line 1: ./windows.sh: cannot execute: required file not found",
        "/bin/bash: line 1: ./windows.sh: /bin/bash^M: bad interpreter: No such file or directory",
    ):
        assert "The first line of ./windows.sh names a program" in explain(line)
        assert "isn't in the release" not in explain(line)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("poetry run: celery-x: command not found", "The command celery-x isn't installed."),
        ("/bin/bash: line 1: 12 Killed                  python app.py", "pulumi config set workers 1"),
        ("/bin/bash: line 1: /opt/gantry/instances/a/app/x.sh: Permission denied", "chmod +x ./x.sh"),
        ("/bin/bash: line 1: cd: /app: No such file or directory", "Leave /app out: commands begin"),
        ("/bin/bash: line 1: cd: /usr/src/app/: No such file or directory", "Leave /usr/src/app/ out"),
        ("sh: 1: /app/start.sh: not found", "Write ./start.sh in place of /app/start.sh"),
        ("/bin/bash: line 1: venv/bin/activate: No such file or directory", "Leave venv/bin/activate out"),
        ("/bin/bash: line 1: /usr/local/bin/gunicorn: No such file or directory", "Write gunicorn in place of /usr"),
        ("/bin/bash: line 1: /app/bin/start: No such file or directory", "Write bin/start in place of /app/bin/start"),
        ("/bin/bash: line 1: .venv/bin/gunicorn: No such file or directory", "Write gunicorn in place of .venv/bin"),
        ("sh: 1: /app/.heroku/python/bin/celery: not found", "Write celery in place of /app/.heroku/python/bin/celery"),
        ("/bin/bash: line 1: /srv/out.log: Permission denied", "can't run or write /srv/out.log"),
        ("sh: 1: cannot create /srv/out.log: Permission denied", "The app can't write to /srv/out.log"),
        ("gunicorn: error: argument -w/--workers: expected one argument", "`--workers ${<NAME>:-<value>}`"),
        (
            "gunicorn: error: argument -w/--workers: invalid int value: 'app:app'",
            "The option --workers has no valid value.",
        ),
        ("Error: Option '--port' requires an argument.", "write `$PORT` in capital letters"),
        ("Error: Option '--workers' requires an argument.", "The option --workers has no valid value."),
        (
            "Error: Invalid value for '--port': '--workers' is not a valid integer.",
            "The option --port has no valid value.",
        ),
        (
            "Error: Invalid value for '-c' / '--concurrency': '-l' is not",
            "The option --concurrency has no valid value.",
        ),
    ],
)
def test_more_lines_of_a_start(line: str, sentence: str):
    assert sentence in explain(line)
    assert len(explain(line).splitlines()) == 1


def test_a_command_that_is_the_apps_own_gets_the_words_that_run_it(tmp_path: Path):
    (tmp_path / "pyproject.toml").write_text('[project.scripts]\nserve = "shop.main:run"\n')
    (tmp_path / "start.sh").touch()
    assert "write `uv run serve` into the Procfile" in explain("/bin/bash: line 1: serve: command not found", tmp_path)
    assert "write `./start.sh` into the Procfile" in explain("sh: 1: start.sh: not found", tmp_path)
    (tmp_path / "poetry.lock").touch()
    assert "write `poetry run serve`" in explain("/bin/bash: line 1: serve: command not found", tmp_path)
