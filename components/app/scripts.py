"""The shell scripts that a Procfile's lines start: each must be in the release and able to run on a server."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Literal

from components.app import app_target
from components.app.shell_words import simple_commands
from host import run_prefix

SHELLS = ("sh", "bash", "dash")
# Words that may precede the program: they replace or wrap it.
_WRAPPERS = ("exec", "env", "time", "nohup", "command")
_TWO_WORD_WRAPPERS = (*((tool, "run") for tool in run_prefix.TOOLS), ("newrelic-admin", "run-program"))
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_LOGIN = re.compile("(-[a-km-z]*)l([a-z]*)|--login")
_PYTHON = re.compile(r"python[\d.]*")
# Interpreters that Debian doesn't install by default, with the packages that have them.
_PACKAGES = {
    "zsh": "zsh",
    "fish": "fish",
    "ksh": "ksh",
    "csh": "csh",
    "tcsh": "tcsh",
    "ruby": "ruby",
    "node": "nodejs",
    "nodejs": "nodejs",
    "php": "php-cli",
}
# Programs that buildpacks of other platforms put into an app, and why a server doesn't need them.
_OF_BUILDPACKS = {
    "start-nginx": "a server has Nginx in front of every app",
    "start-nginx-solo": "a server has Nginx in front of every app",
    "start-pgbouncer": "the app connects to its database itself",
    "start-pgbouncer-stunnel": "the app connects to its database itself",
    "start-stunnel": "the app connects to its services itself",
}
# Folders of virtual environments, which aren't packed. Their commands are on a server's PATH.
_VENV_COMMAND = re.compile(r"(?:\./)?(?:\.?v?env|\.?virtualenv)/bin/(?P<name>[\w.-]+)$")


@dataclass(frozen=True)
class Script:
    """A file that a command starts: by its own name, or as the argument of a shell or of Python (``interpreter``).

    ``path`` is relative to the app, ``written`` to the folder that the command has changed to. ``is_needed`` says that
    the line can't go on without it.
    """

    written: str
    path: str
    interpreter: Literal["", "shell", "python"]
    is_needed: bool


@dataclass(frozen=True)
class Files(app_target.Files):
    """The files of an app, and what it brings besides. ``packages`` are the Debian packages that it asks for."""

    packages: Collection[str] = field(default_factory=frozenset[str])
    # Whether a `build` line may create files that the app doesn't have now.
    has_build: bool = False


def mistakes(command: str, files: Files) -> list[str]:
    """A sentence with its remedy for each script of the command that can't run on a server."""
    found = [sentence for script in scripts(command) for sentence in _mistakes(script, files)]
    return [*_login_shells(command), *found]


def scripts(command: str, folder: str | None = "") -> list[Script]:
    """The scripts that a command starts in a folder of the app, or in one that isn't known.

    Those whose path contains a variable or lies outside the app are left out.
    """
    found: list[Script] = []
    # The folder at each depth of parentheses, which are shells of their own.
    folders = [folder]
    for simple in simple_commands(command):
        del folders[max(simple.depth, 0) + 1 :]
        folders += [folders[-1]] * (simple.depth + 1 - len(folders))
        words = without_wrappers(simple.words)
        if words[:1] in (["cd"], ["pushd"], ["popd"]):
            # After a change to an unknown folder, relative paths say nothing.
            folders[-1] = _join(folders[-1], words[1]) if len(words) == 2 else None
        elif words and (inner := command_of_a_shell(words)):
            found += [replace(one, is_needed=one.is_needed and simple.is_needed) for one in scripts(inner, folders[-1])]
        elif words and (written := started_file(words)):
            path = _join(folders[-1], written)
            if path is not None:
                found.append(Script(written, path, _interpreter_of(words[0]), is_needed=simple.is_needed))
    return found


def _login_shells(command: str) -> Iterator[str]:
    """A sentence for each shell that reads /etc/profile, which replaces PATH."""
    for simple in simple_commands(command):
        words = without_wrappers(simple.words)
        options = list(takewhile(lambda word: word.startswith("-"), words[1:]))
        if words and PurePosixPath(words[0]).name in SHELLS and any(map(_LOGIN.fullmatch, options)):
            shown = " ".join([words[0], *options])
            without = [_LOGIN.sub(r"\1\2", option) for option in options]
            right = " ".join([words[0], *(option for option in without if option not in ("", "-"))])
            yield (
                f"`{shown}` starts a login shell, which replaces PATH and doesn't find the app's packages: write"
                f" `{right}`"
            )


def without_wrappers(words: list[str]) -> list[str]:
    """A simple command from its program on."""
    start = 0
    while start < len(words):
        if words[start] in _WRAPPERS or _ASSIGNMENT.match(words[start]):
            start += 1
        elif tuple(words[start : start + 2]) in _TWO_WORD_WRAPPERS:
            start += 2
        else:
            break
    return words[start:]


def started_file(words: list[str]) -> str | None:
    """The file that a simple command starts by its path, or gives to a shell."""
    program, *arguments = words
    if program in (".", "source"):
        return arguments[0] if arguments else None
    if PurePosixPath(program).name in SHELLS:
        return _argument_of_a_shell(arguments)
    if _PYTHON.fullmatch(program):
        return _argument_of_python(arguments)
    return program if "/" in program else None


def _interpreter_of(program: str) -> Literal["", "shell", "python"]:
    if PurePosixPath(program).name in (*SHELLS, ".", "source"):
        return "shell"
    return "python" if _PYTHON.fullmatch(program) else ""


def command_of_a_shell(words: list[str]) -> str | None:
    """The command in `sh -c "command"`; None for other programs and for scripts."""
    program, *arguments = words
    if PurePosixPath(program).name not in SHELLS:
        return None
    for index, word in enumerate(arguments):
        if re.fullmatch(r"-[a-z]*c", word):
            return next(iter(arguments[index + 1 :]), None)
        if not word.startswith(("-", "+")):
            return None
    return None


def _argument_of_python(arguments: list[str]) -> str | None:
    """The file among the arguments of Python; None for a module (-m), a command (-c) and its standard input."""
    words = iter(arguments)
    for word in words:
        if re.fullmatch("-[A-Za-z]*[WX]", word):
            next(words, None)
        elif not word.startswith("-"):
            return word
        elif word == "-" or re.match("-[A-Za-z]*[cmhV?]|--", word):
            return None
    return None


def _argument_of_a_shell(arguments: list[str]) -> str | None:
    """The script among the arguments of a shell; None for `sh -c`, whose argument is a command."""
    words = iter(arguments)
    for word in words:
        if re.fullmatch(r"[-+]\w*o", word):
            next(words, None)  # the name of an option, as in -eo pipefail
        elif re.fullmatch(r"-\w*[cs]\w*", word):
            return None
        elif not word.startswith(("-", "+")):
            return word
    return None


def _join(folder: str | None, path: str) -> str | None:
    """The path relative to the app; None if it isn't certain or lies outside the app."""
    if folder is None or path.startswith(("/", "~", "-")) or re.search(r"[$`*?\[{]", path):
        return None
    joined = posixpath.normpath(posixpath.join(folder, path))
    return None if joined.startswith("..") else "" if joined == "." else joined


def _mistakes(script: Script, files: Files) -> Iterator[str]:
    content = files.contents.get(script.path)
    if content is None:
        is_package = script.interpreter == "python" and posixpath.join(script.path, "__main__.py") in files.contents
        if script.is_needed and not files.has_build and not is_package:
            yield _missing(script, files)
        return
    if script.interpreter == "python":
        return
    path, file = script.path, files.app / script.path
    is_text = b"\0" not in content[:1024]
    if is_text and b"\r\n" in content:
        yield (
            f"{path} has Windows line endings (CRLF), with which it can't be started: convert it with"
            f" `sed -i 's/\\r$//' {shlex.quote(path)}`, and keep it so with the line '{path} text eol=lf' in"
            " .gitattributes"
        )
    if content.startswith(b"\xef\xbb\xbf"):
        yield f"{path} begins with a byte order mark, which hides its first line: save it as UTF-8 without one"
    if script.interpreter or not script.is_needed:
        return
    if not (file.is_symlink() or file.stat().st_mode & 0o100):
        quoted = shlex.quote(path)
        yield (
            f"{path} isn't executable: run `chmod +x {quoted}`, and in a git repository"
            f" `git update-index --chmod=+x {quoted}`{_with_interpreter(path, content)}"
        )
    if content.startswith(b"#!"):
        yield from _interpreter(path, content, files)


def _with_interpreter(path: str, content: bytes) -> str:
    """The other remedy for a script that isn't executable: name its interpreter. A binary program has none."""
    if b"\0" in content[:1024]:
        return ""
    first, _, _ = content.partition(b"\n")
    is_python = path.endswith(".py") or (first.startswith(b"#!") and b"python" in first)
    return f", or write `{'python' if is_python else 'bash'} {path}` into the line"


def _missing(script: Script, files: Files) -> str:
    if match := _VENV_COMMAND.match(script.written):
        remedy = "leave this out" if match["name"] == "activate" else f"write `{match['name']}`"
        return (
            f"{script.written} is in a virtual environment, which isn't part of a release: {remedy}, because the"
            " commands of the installed packages are on PATH"
        )
    if PurePosixPath(script.path).name.startswith(".env"):
        return (
            f"{script.written} holds variables, which aren't part of a release: leave it out, and set its variables"
            " with: pulumi config set --path env.NAME <value>"
        )
    if (files.app / script.path).is_dir():
        return f"{script.written} is a folder, not a script: correct the path"
    if (files.app / script.path).exists():
        return f"{script.path} is excluded by .gitignore, so the release doesn't have it: take it out of .gitignore"
    path = PurePosixPath(script.path)
    if path.parent.name == "bin" and (reason := _OF_BUILDPACKS.get(path.name)):
        return (
            f"{path} is a program of another platform's buildpack: delete `{script.written}` from the line, because"
            f" {reason}"
        )
    command = f", or write `{path.name}` if a package has this command" if path.parent.name == "bin" else ""
    return f"the app has no file {path}: correct the path, or add the file{command}"


def _interpreter(path: str, content: bytes, files: Files) -> Iterator[str]:
    """A sentence if no server has the program that the script's first line names."""
    line = content.split(b"\n", 1)[0][2:].decode("utf-8", errors="replace").strip()
    words = line.split()
    if not words:
        return
    is_env = PurePosixPath(words[0]).name == "env"
    program = next((word for word in words[1:] if not word.startswith("-")), "") if is_env else words[0]
    name = PurePosixPath(program).name
    if (package := _PACKAGES.get(name)) and package not in files.packages:
        yield (
            f"{path} begins with '#!{line}', but a server has no {name}: install it with the line '{package}' in the"
            " file Aptfile or with the setting aptPackages, or rewrite the script for bash"
        )
    elif not is_env and _is_elsewhere(program, name):
        yield f"{path} begins with '#!{line}', and a server has no {program}: write '#!/usr/bin/env {_general(name)}'"


def _general(name: str) -> str:
    """The name of an interpreter, for Python without a version: the app's files choose that."""
    return "python3" if re.fullmatch(r"python3\.\d+", name) else name


def _is_elsewhere(program: str, name: str) -> bool:
    """Whether a shebang's path is that of another computer. Python is in the virtual environment, found by env."""
    folder = str(PurePosixPath(program).parent)
    if name.startswith("python"):
        return program != "/usr/bin/python3"
    return folder not in ("/bin", "/usr/bin", "/sbin", "/usr/sbin")
