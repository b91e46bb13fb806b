"""The Procfile's web process: found where there is no Procfile, refused where it can't work on a server."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

from components.errors import UserError
from host.procfile import processes

# Flask's own search: https://flask.palletsprojects.com/en/stable/cli/#application-discovery
MODULES = ("wsgi", "app", "main")
NAMES = ("app", "application", "create_app", "make_app")
# With variables before it, by a path, or as a module.
_GUNICORN = re.compile(r"^(\w+=\S*\s+)*(\S*/)?(gunicorn|python3? -m gunicorn)\s")
_OPERATORS = re.compile(r"^(&&|\|\||[;|&<>]|>>)$")


class WebCommandError(UserError):
    """The app doesn't say how to start it, or in a way that can't work; the text has the remedy."""


def guess(app: Path) -> str:
    """The command for an app without a Procfile, found as Flask finds an app."""
    for module in MODULES:
        path = app / f"{module}.py"
        names = _top_level(path) if path.is_file() else set[str]()
        for name in NAMES:
            if name in names:
                call = "()" if name.startswith(("create", "make")) else ""
                return f"gunicorn {shlex.quote(f'{module}:{name}{call}')}"
    raise WebCommandError(
        f"{app} has no Procfile, and no {' or '.join(f'{m}.py' for m in MODULES)} that defines app, application or"
        " create_app: add a Procfile with a line such as 'web: gunicorn yourmodule:app'"
    )


def check(procfile: str) -> str:
    """The web command of a Procfile; raises WebCommandError when it can't work behind Nginx on a Unix socket."""
    try:
        command = processes(procfile).get("web")
        words = shlex.split(command or "", posix=True)
        operators = [word for word in shlex.shlex(command or "", punctuation_chars=True) if _OPERATORS.match(word)]
    except ValueError as error:
        raise WebCommandError(f"the Procfile can't be read: {error}") from None
    if command is None:
        raise WebCommandError("the Procfile has no web process: add a line such as 'web: gunicorn yourmodule:app'")
    if not _GUNICORN.match(command):
        raise WebCommandError(f"web: {command!r} isn't Gunicorn: start the app with 'gunicorn yourmodule:app'")
    if operators:
        raise WebCommandError(
            f"web: {command!r} has {operators[0]!r}: it must be one command; put several into a script"
        )
    binds = [word for word in words if re.match(r"-b|--bind\b", word) or "$PORT" in word]
    if binds:
        raise WebCommandError(f"web: {command!r} chooses its own address ({binds[0]}): leave that out, Gantry binds it")
    return command


def _top_level(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.parse(path.read_bytes(), str(path)).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
    return found
