"""Explains parts that an app lacks besides modules: extras of packages, templates, folders and collected files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from host.packages.adding import add_package

Sentence = Callable[[re.Match[str], Path | None], str]


def _package(name: str, reason: str) -> Sentence:
    return lambda _, app: f"{reason}: {add_package(name, app)}."


def _named_package(match: re.Match[str], app: Path | None) -> str:
    return f"The package {match['package']} isn't installed: {add_package(match['package'].lower(), app)}."


def _template(match: re.Match[str], app: Path | None) -> str:
    """The sentence for a template that the app's template engine doesn't find."""
    name = match["path"]
    files = sorted(path.relative_to(app).as_posix() for path in app.rglob("*") if path.is_file()) if app else []
    similar = [file for file in files if f"/{file}".lower().endswith(f"/{name}".lower())]
    if exact := next((file for file in similar if file.endswith(name)), None):
        folder = str(PurePosixPath(exact.removesuffix(name).rstrip("/") or "."))
        return (
            f"The app has {exact}, but doesn't look there: name the folder {folder} in template_folder of Flask, in"
            " DIRS of Django's TEMPLATES or in directory of Jinja2Templates."
        )
    if similar:
        return (
            f"The app has {similar[0]}, and Linux tells capitals from small letters: write the name of the template as"
            " the file has it, or rename the file."
        )
    return (
        f"The template {name} isn't in the release: check that it is in the app's folder and that .gitignore doesn't"
        " name it."
    )


# Regular expressions over an app's last lines, and the sentence for each match.
CAUSES: list[tuple[str, str | Sentence]] = [
    (r"requires \"(?P<package>[\w-]+)\" to be installed", _named_package),
    (r"Error: (?P<package>[\w-]+) must be installed to use", _named_package),
    (
        r"Install Flask with the 'async' extra",
        _package("flask[async]", "Async views of Flask need a part of it that isn't installed"),
    ),
    (r"no pq wrapper available", _package("psycopg[binary]", "psycopg's own library of PostgreSQL isn't installed")),
    (r"(?:TemplateNotFound|TemplateDoesNotExist): (?P<path>[\w./-]+\.\w+)", _template),
    (
        r"RuntimeError: Directory '(?P<path>[^']+)' does not exist",
        "The folder {path} isn't in the release. Git keeps no empty folders: add an empty file {path}/.gitkeep and"
        " commit it, or let the app create the folder.",
    ),
    (
        r"Missing staticfiles manifest entry for '(?P<path>[^']+)'",
        "collectstatic hasn't found {path}, or hasn't run: check the file's name, run `pulumi config rm --path"
        " env.DISABLE_COLLECTSTATIC` if that is set, and let a `build` line end with `python manage.py collectstatic"
        " --noinput`.",
    ),
]
