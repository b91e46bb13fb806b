"""Checks an app's Procfile and app.json: a server must be able to run every process."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.app import discovery, other_platforms, scripts, spelling
from components.errors import UserError
from components.shell_syntax import syntax_error
from host import cron, procfile
from host.packages import aptfile

_EXAMPLE = "web: gunicorn yourmodule:app"
# Files beside an app that aren't for servers, such as Procfile.dev and copies of an editor.
_OTHER_PURPOSE = re.compile(
    r"procfile[._-]?(?:dev|local|win|example|sample|template|test|debug|docker|old|orig|bak|back)|~$"
)
# A server gives each command to bash as one argument, which Linux limits to 128 KiB with its end.
LONGEST_COMMAND = 128 * 1024 - 1


class ProcfileError(UserError):
    """The Procfile or app.json has a process that a server can't run; the text says what to change."""


@dataclass(frozen=True)
class _Command:
    """A command with its ``place``, such as "Procfile, line 1: web"."""

    place: str
    text: str
    is_build: bool = False


def check(app: Path, contents: Mapping[str, bytes], apt_packages: Collection[str] = ()) -> None:
    """Check the files of the app in the folder ``app``, by name; raises ProcfileError.

    ``apt_packages`` are Debian packages that servers have besides those of the Aptfile.
    """
    try:
        text = procfile.decode(contents["Procfile"])
        processes = procfile.processes(text)
        commands = _commands(contents)
    except ValueError as error:
        raise ProcfileError(str(error)) from None
    if "web" not in processes:
        raise ProcfileError(_without_web(app, contents, processes))
    files = _files(app, contents, apt_packages)
    mistakes = [f"{command.place}: {mistake}" for command in commands for mistake in _mistakes(command, files)]
    if mistakes := [*filter(None, map(_capitals, procfile.lines(text))), *mistakes]:
        raise ProcfileError("\n".join(mistakes))


def notes(app: Path, contents: Mapping[str, bytes], apt_packages: Collection[str] = ()) -> list[str]:
    """Sentences about commands that may fail on a server. ``check`` has accepted the arguments."""
    files = _files(app, contents, apt_packages)
    commands = _commands(contents)
    installing = [line for command in commands for line in other_platforms.installing_lines(command.text, files)]
    return [
        *(
            f"{command.place}: {finding.sentence}"
            for command in commands
            for finding in _findings(command, files)
            if not finding.is_certain
        ),
        *dict.fromkeys(installing),
    ]


def _commands(contents: Mapping[str, bytes]) -> list[_Command]:
    """The commands of the Procfile and of app.json; raises ValueError."""
    lines = procfile.lines(procfile.decode(contents["Procfile"]))
    entries = cron.app_entries(_decode(contents["app.json"])) if "app.json" in contents else []
    return [
        *(_Command(f"Procfile, line {line.number}: {line.name}", line.command, line.name == "build") for line in lines),
        *(_Command("app.json: cron", entry.command) for entry in entries),
    ]


def _files(app: Path, contents: Mapping[str, bytes], apt_packages: Collection[str]) -> scripts.Files:
    has_build = "build" in procfile.processes(procfile.decode(contents["Procfile"]))
    return scripts.Files(app, contents, _debian_packages(contents, apt_packages), has_build=has_build)


def _findings(command: _Command, files: scripts.Files) -> list[other_platforms.Finding]:
    return other_platforms.findings(command.text, files, is_build=command.is_build)


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
    names = [name for name in _similar(contents) if not _OTHER_PURPOSE.search(name.lower())]
    # One with a wrong name comes first, then one for servers.
    names.sort(key=lambda name: (name.lower().removesuffix(".txt") != "procfile", "prod" not in name.lower(), name))
    if names:
        raise ProcfileError(
            f"{app} has {' and '.join(names)}, but servers read only a file with the exact name Procfile: rename it"
            f" with `mv {names[0]} Procfile`, or, if it isn't for servers, add a Procfile with the line"
            f" '{web_line(app, contents)}'"
        )


def _similar(contents: Mapping[str, bytes]) -> list[str]:
    """The files of the app whose names begin like that of the Procfile."""
    return sorted(name for name in contents if name.lower().startswith("procfile") and "/" not in name)


def note_of_others(contents: Mapping[str, bytes]) -> list[str]:
    """A sentence about files such as Procfile.dev. Call it for an app without a Procfile."""
    names = [name for name in _similar(contents) if name != "Procfile"]
    if not names:
        return []
    return [
        f"servers don't read {' and '.join(names)}: to run such lines there, write them into a file with the exact name"
        " Procfile"
    ]


def web_line(app: Path, contents: Mapping[str, bytes]) -> str:
    """A line for the app of a folder without a web process: the found one, or an example."""
    try:
        return f"web: {discovery.command(app, contents)}"
    except UserError:
        return _EXAMPLE


def _without_web(app: Path, contents: Mapping[str, bytes], commands: Mapping[str, str]) -> str:
    similar = next((name for name in commands if name.lower() == "web"), None)
    if similar:
        return f"the Procfile has no web process, but {similar}: write web in small letters"
    found = f"only {', '.join(commands)}" if commands else "and no other"
    line = web_line(app, contents)
    rule = "; servers run only apps that answer requests, with other processes beside them" if line == _EXAMPLE else ""
    return f"the Procfile has no web process, {found}: add a line such as '{line}'{rule}"


def _mistakes(command: _Command, files: scripts.Files) -> list[str]:
    """What a server can't run in a command, with the remedies."""
    text = command.text
    if (size := len(text.encode(errors="replace"))) > LONGEST_COMMAND:
        return [
            f"the command has {size} bytes, and Linux starts none with more than {LONGEST_COMMAND}: write it"
            " into a script such as start.sh, and `bash start.sh` into the line"
        ]
    if corrected := spelling.corrected(text):
        return [f"{text!r} has quotes, spaces, dashes or variables that bash doesn't know: write: {corrected}"]
    if error := syntax_error(text):
        return [f"{text!r} can't be read by the shell: {error}"]
    certain = [finding.sentence for finding in _findings(command, files) if finding.is_certain]
    return [*scripts.mistakes(text, files), *certain]


def _debian_packages(contents: Mapping[str, bytes], apt_packages: Collection[str]) -> set[str]:
    """The names of the Debian packages of the app, without their versions. The Aptfile has been checked."""
    listed = aptfile.packages(contents.get(aptfile.NAME, b""))
    return {re.split("[=:]", package)[0] for package in (*listed, *apt_packages)}


def _decode(content: bytes) -> str:
    return content.decode("utf-8-sig", errors="replace")
