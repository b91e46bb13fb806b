"""Explains paths that don't exist on the server, or that the app may not run or write."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from host import read_only
from host.packages import missing_packages

SET_VARIABLE = "pulumi config set --path env.{} <value>"
# Programs in a virtual environment, or in the folder of the Python of Heroku or of a container.
_PROGRAM = re.compile(r".*(?:^|/)\.?(?:venv|env|heroku/python|usr/local)/bin/(?P<program>[\w.-]+)")
# A pattern for the app's folder on Heroku, in most containers, on Render and on Azure.
FOLDER = "/(?:app|code|workspace|usr/src/app|opt/render/project/src|home/site/wwwroot)"
IN_FOLDER = re.compile(rf"{FOLDER}(?:/(?P<path>.*))?")


def missing_file(match: re.Match[str], app: Path | None) -> str:
    """The sentence for a missing file or folder that the app's command or code names."""
    if sentence := of_another_platform(match["path"]):
        return sentence
    path = read_only.relative_to_app(match["path"]) or match["path"]
    if sentence := missing_packages.of_program(path):
        return sentence
    if path.endswith(".env"):
        return f"{path} isn't part of a release: set its variables with: {SET_VARIABLE.format('NAME')}"
    if path.startswith("/"):
        return f"{path} doesn't exist on the server: name it relative to the app's folder, which is the working folder."
    missing = f"{path} isn't in the release: check that it is in the app's folder and that .gitignore doesn't name it."
    folder = str(PurePosixPath(path).parent)
    if app is None or folder == "." or folder.startswith("..") or (app / folder).exists():
        return missing
    return f"{missing} If the app creates it, keep the folder with: {read_only.LINK.format(folder)}."


def missing_in_shell(match: re.Match[str], app: Path | None) -> str:
    """The sentence for a missing command, or a missing file of a command: bash writes the same for both."""
    path = match["path"]
    if path.startswith("./") and not path.endswith(".env"):
        return no_file(path)
    return missing_file(match, app)


def denied(match: re.Match[str], _: Path | None) -> str:
    """The sentence for a command without the permission to run. bash writes the same for a file that isn't writable."""
    file = match["file"]
    relative = read_only.relative_to_app(file)
    if relative is None:
        return f"The app can't run or write {file}: let it write to a path below {read_only.DATA}."
    file = f"./{relative}" if file.startswith("/") else file
    return f"{file} isn't executable: run `chmod +x {file}` and commit it, or write `sh {file}` into the Procfile."


def no_file(path: str) -> str:
    """The sentence for a command whose file the app lacks."""
    return f"The app has no file {path}: correct the command in the Procfile, or commit the file."


def of_another_platform(path: str, before: str = "") -> str:
    """The sentence for a path of Heroku, a container or the developer's computer, with what to write instead; or "".

    ``before`` is what a command needs in front of a file in its own folder.
    """
    if path.endswith("/bin/activate"):
        return f"Leave {path} out: the programs of the app's packages are found by their names."
    if match := _PROGRAM.fullmatch(path):
        return f"Write {match['program']} in place of {path}: programs of the app's packages are found by their names."
    if match := IN_FOLDER.fullmatch(path):
        if not match["path"]:
            return f"Leave {path} out: commands begin in the app's folder, which has another path here."
        prefix = before if "/" not in match["path"] else ""
        return f"Write {prefix}{match['path']} in place of {path}: commands begin in the app's folder."
    return ""
