"""Checks an app's Procfile and app.json: a server must be able to run every process."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from components.app import discovery, scripts, spelling
from components.errors import UserError
from components.shell_syntax import syntax_error
from host import cron, procfile
from host.packages import aptfile

# A server gives each command to bash as one argument, which Linux limits to 128 KiB with its end.
LONGEST_COMMAND = 128 * 1024 - 1


class ProcfileError(UserError):
    """The Procfile or app.json has a process that a server can't run; the text says what to change."""


def check(app: Path, contents: Mapping[str, bytes], apt_packages: Collection[str] = ()) -> None:
    """Check the files of the app in the folder ``app``, by name; raises ProcfileError.

    ``apt_packages`` are Debian packages that servers have besides those of the Aptfile.
    """
    try:
        text = procfile.decode(contents["Procfile"])
        commands = procfile.processes(text)
        entries = cron.app_entries(_decode(contents["app.json"])) if "app.json" in contents else []
    except ValueError as error:
        raise ProcfileError(str(error)) from None
    if "web" not in commands:
        raise ProcfileError(_without_web(app, contents, commands))
    labelled = [(f"Procfile, line {line.number}: {line.name}", line.command) for line in procfile.lines(text)]
    labelled += [("app.json: cron", entry.command) for entry in entries]
    files = scripts.Files(app, contents, _debian_packages(contents, apt_packages), has_build="build" in commands)
    mistakes = [sentence for label, command in labelled for sentence in _mistakes(label, command, files)]
    if mistakes := [*filter(None, map(_capitals, procfile.lines(text))), *mistakes]:
        raise ProcfileError("\n".join(mistakes))


def _capitals(line: procfile.Line) -> str:
    """A sentence for a line such as Release, which would be a process of its own; empty for others."""
    name = line.name.lower()
    if name not in procfile.RESERVED or name == line.name:
        return ""
    return (
        f"Procfile, line {line.number}: {line.name} isn't {name}: write {name} in small letters, or give the process"
        " another name"
    )


def require_name(app: Path, contents: Mapping[str, bytes]) -> None:
    """For an app without a Procfile: raises ProcfileError if a file beside it shows that it should have one."""
    if (app / "Procfile").is_dir():
        raise ProcfileError(
            f"{app}/Procfile is a folder, but servers read a file with this name: rename the folder, and write a file"
            f" Procfile with the line '{web_line(app, contents)}'"
        )
    if (app / "Procfile").exists():
        raise ProcfileError(f"{app}/Procfile is excluded by .gitignore: take it out of .gitignore")
    names = [name for name in contents if name.lower().startswith("procfile") and "/" not in name]
    # A file for another purpose, such as Procfile.dev, sorts behind one with a wrong name.
    names.sort(key=lambda name: (name.lower().removesuffix(".txt") != "procfile", name))
    if names:
        raise ProcfileError(
            f"{app} has {' and '.join(names)}, but servers read only a file with the exact name Procfile: rename it"
            f" with `mv {names[0]} Procfile`, or, if it isn't for servers, add a Procfile with the line"
            f" '{web_line(app, contents)}'"
        )


def web_line(app: Path, contents: Mapping[str, bytes]) -> str:
    """A line for the app of a folder without a web process: the found one, or an example."""
    try:
        return f"web: {discovery.command(app, contents)}"
    except UserError:
        return "web: gunicorn yourmodule:app"


def _without_web(app: Path, contents: Mapping[str, bytes], commands: Mapping[str, str]) -> str:
    similar = next((name for name in commands if name.lower() == "web"), None)
    if similar:
        return f"the Procfile has no web process, but {similar}: write web in small letters"
    found = f"only {', '.join(commands)}" if commands else "and no other"
    return f"the Procfile has no web process, {found}: add a line such as '{web_line(app, contents)}'"


def _mistakes(label: str, command: str, files: scripts.Files) -> list[str]:
    if (size := len(command.encode(errors="replace"))) > LONGEST_COMMAND:
        return [
            f"{label}: the command has {size} bytes, and Linux starts none with more than {LONGEST_COMMAND}: write it"
            " into a script such as start.sh, and `bash start.sh` into the line"
        ]
    if corrected := spelling.corrected(command):
        return [
            f"{label}: {command!r} has quotes, spaces, dashes or variables that bash doesn't know: write: {corrected}"
        ]
    if error := syntax_error(command):
        return [f"{label}: {command!r} can't be read by the shell: {error}"]
    return [f"{label}: {sentence}" for sentence in scripts.mistakes(command, files)]


def _debian_packages(contents: Mapping[str, bytes], apt_packages: Collection[str]) -> set[str]:
    """The names of the Debian packages of the app, without their versions. The Aptfile has been checked."""
    listed = aptfile.packages(contents.get(aptfile.NAME, b""))
    return {re.split("[=:]", package)[0] for package in (*listed, *apt_packages)}


def _decode(content: bytes) -> str:
    return content.decode("utf-8-sig", errors="replace")
