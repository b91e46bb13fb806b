"""Sentences for files and folders that an app names and that aren't on the server, or that it may not run or write."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from host import read_only
from host.packages import missing_packages

SET = "pulumi config set --path env.{} <value>"
# Programs of packages, where virtual environments and Heroku have them.
_PROGRAM = re.compile(r".*(?:^|/)\.?(?:venv|env|heroku/python)/bin/(?P<program>[\w.-]+)")
# The app's folder on Heroku and in most containers.
_FOLDER = "/app"


def missing_file(match: re.Match[str], app: Path | None) -> str:
    """A file or folder that the app's command or code names."""
    if sentence := place_of_another_platform(match["path"]):
        return sentence
    path = read_only.relative_to_app(match["path"]) or match["path"]
    if sentence := missing_packages.of_program(path):
        return sentence
    if path.endswith(".env"):
        return f"{path} isn't part of a release: set its variables with: {SET.format('NAME')}"
    if path.startswith("/"):
        return f"{path} doesn't exist on the server: name it relative to the app's folder, which is the working folder."
    missing = f"{path} isn't in the release: check that it is in the app's folder and that .gitignore doesn't name it."
    folder = str(PurePosixPath(path).parent)
    if app is None or folder == "." or folder.startswith("..") or (app / folder).exists():
        return missing
    return f"{missing} If the app creates it, keep the folder with: {read_only.LINK.format(folder)}."


def missing_in_shell(match: re.Match[str], app: Path | None) -> str:
    """A command, or a file that a command reads or writes: bash writes the same for both."""
    path = match["path"]
    if path.startswith("./") and not path.endswith(".env"):
        return f"The app has no file {path}: correct the command in the Procfile, or commit the file."
    return missing_file(match, app)


def denied(match: re.Match[str], _: Path | None) -> str:
    """A command without the permission; bash writes the same for a file that a command may not write."""
    file = match["file"]
    relative = read_only.relative_to_app(file)
    if relative is None:
        return f"The app can't run or write {file}: let it write to a path below {read_only.DATA}."
    file = f"./{relative}" if file.startswith("/") else file
    return f"{file} isn't executable: run `chmod +x {file}` and commit it, or write `sh {file}` into the Procfile."


def place_of_another_platform(path: str) -> str:
    """What to write in place of a path that exists on Heroku, in a container or on the developer's computer."""
    if match := _PROGRAM.fullmatch(path):
        return f"Write {match['program']} in place of {path}: programs of the app's packages are found by their names."
    if path == _FOLDER:
        return f"Leave `cd {_FOLDER}` out: commands begin in the app's folder, which has another path here."
    if path.startswith(f"{_FOLDER}/"):
        return f"Write {path.removeprefix(_FOLDER + '/')} in place of {path}: commands begin in the app's folder."
    return ""
