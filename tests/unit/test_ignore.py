"""Which files of an app's folder are packed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.errors import UserError
from tests.packed_app import packed
from tests.unit.tarballs import members


def test_gitignore_files_above_in_and_below_the_app_count_as_they_do_for_git(tmp_path: Path):
    repository = tmp_path / "repository"
    app = repository / "apps/shop"
    (app / "data/keep").mkdir(parents=True)
    (repository / ".git").mkdir()
    (repository / ".gitignore").write_text("*.log\n/apps/shop/secret.txt\nbuild/\n")
    (app / ".gitignore").write_text("data/*\n!data/keep\n!important.log\n")
    (app / "data/keep/.gitignore").write_text("*.tmp\n")
    ignored = ("secret.txt", "a.log", "data/x", "data/keep/z.tmp")
    for name in (*ignored, "requirements.txt", "important.log", "data/keep/y"):
        (app / name).write_text("")
    (app / "Procfile").write_text("web: gunicorn a:b\n")
    (app / "build").mkdir()
    (app / "build/out").write_text("")
    assert set(members(app)) == {
        ".gitignore",
        "Procfile",
        "requirements.txt",
        "important.log",
        "data/keep/y",
        "data/keep/.gitignore",
    }


def test_a_gitignore_outside_of_the_repository_has_no_effect(tmp_path: Path, app: Path):
    (tmp_path / ".gitignore").write_text("*\n")
    assert "hello.py" in members(app)


def test_git_folders_caches_and_virtual_environments_are_never_packed(app: Path):
    for name in (".git/config", "__pycache__/hello.pyc", ".venv/bin/python", "env/pyvenv.cfg", "env/bin/python"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text("")
    (app / ".gitignore").write_text("!.*\n!env/**\n")
    assert not [name for name in members(app) if name.startswith((".git/", "__pycache__", ".venv", "env"))]


def test_the_packed_files_are_those_that_git_lists_even_if_the_first_rule_ignores_everything(tmp_path: Path):
    app = tmp_path / "app"
    (app / "shop/static").mkdir(parents=True)
    (app / "logs").mkdir()
    (app / ".gitignore").write_text("*\n!*/\n!*.py\n!Procfile\n!*.txt\n/logs/\n!.gitignore\n**/tmp*\n")
    for name in ("Procfile", "requirements.txt", "shop/__init__.py", "shop/static/a.css", "logs/x.py", "shop/tmp.py"):
        (app / name).write_text("flask\n" if name.endswith("txt") else "web: gunicorn shop:app\n")
    subprocess.run(["git", "init", "--quiet"], cwd=app, check=True)
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    result = subprocess.run(command, cwd=app, capture_output=True, text=True, check=True)
    assert set(members(app)) == set(result.stdout.split())


@pytest.mark.parametrize(
    ("ignored", "reason"),
    [
        ("*.txt", r"no requirements\.txt .*/requirements\.txt is excluded by \.gitignore: take it out"),
        ("hello.py\nProcfile", "Procfile is excluded by .gitignore"),
    ],
)
def test_an_ignored_file_counts_as_missing(app: Path, ignored: str, reason: str):
    (app / ".gitignore").write_text(ignored + "\n")
    with pytest.raises(UserError, match=reason):
        packed(app)
