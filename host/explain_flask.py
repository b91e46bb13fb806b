"""Explains errors of the command flask, which looks for the app by itself."""

from __future__ import annotations

import re
from pathlib import Path

from host import flask_app, own_folder
from host.packages.adding import add_package


def not_located(_: re.Match[str], app: Path | None) -> str:
    """The sentence for a command of flask that finds no app."""
    files = {} if app is None else _files(app)
    value, file = flask_app.of_files(files)
    if value and app:
        return (
            f"`flask` reads {file} only if python-dotenv is installed: write `flask --app {value}` in place of `flask`"
            f" into the Procfile, or {add_package('python-dotenv', app)}."
        )
    names = (name for name in sorted(files) if "/" not in name and b"Flask(" in files[name])
    module = next(names, "<module>.py").removesuffix(".py")
    return (
        "The command `flask` finds the app only in app.py and wsgi.py: name it in the Procfile, such as"
        f" `flask --app {module}`."
    )


def no_command(match: re.Match[str], app: Path | None) -> str:
    """The sentence for a command that an extension adds to flask."""
    if match["command"] != "db":
        return ""
    return (
        "Flask-Migrate adds the command `flask db`: name the app with `flask --app <module>`, let it call"
        f" Migrate(app, db), and {add_package('Flask-Migrate', app)}."
    )


def _files(app: Path) -> dict[str, bytes]:
    """The Python files of the app, and the files of variables that Flask reads."""
    variables = {name: (app / name).read_bytes() for name in flask_app.FILES if (app / name).is_file()}
    return {**own_folder.modules(app), **variables}
