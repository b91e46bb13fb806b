"""The command of the web process: guessed if there is no Procfile, rejected if it can't work on a server."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

from components.errors import UserError
from components.shell import one_command
from host.procfile import is_gunicorn, processes

# Flask's own search: https://flask.palletsprojects.com/en/stable/cli/#application-discovery
MODULES = ("wsgi", "app", "main")
NAMES = ("app", "application", "create_app", "make_app")
GUNICORN_SETTINGS = "gunicorn.conf.py"
# Gunicorn's options that Gantry sets, and what to do instead.
_RESERVED_OPTIONS = {
    r"-b|--bind\b|.*\$PORT": "leave it out, Gantry chooses the address",
    r"-c|--config\b": f"name the file {GUNICORN_SETTINGS}, which is read after Gantry's settings and wins",
    r"-D$|--daemon\b": "leave it out, systemd keeps the process",
}
_SOCKET = "$GANTRY_SOCKET"
# Commands with which other web servers listen on a Unix socket.
_OTHER_SERVERS = {
    "waitress-serve": "waitress-serve --unix-socket=$GANTRY_SOCKET yourmodule:app",
    "uvicorn": "uvicorn --uds $GANTRY_SOCKET yourmodule:app",
    "hypercorn": "hypercorn --bind unix:$GANTRY_SOCKET yourmodule:app",
    "granian": "granian --interface wsgi --uds $GANTRY_SOCKET yourmodule:app",
    "daphne": "daphne -u $GANTRY_SOCKET yourmodule:app",
    "uwsgi": "uwsgi --http-socket $GANTRY_SOCKET --master --die-on-term --module yourmodule:app",
    # These are servers for development.
    "flask": "gunicorn yourmodule:app",
    "runserver": "gunicorn yourproject.wsgi",
}
# Options and files that may name the socket, too.
_SETTINGS_FILE = re.compile(r"(-c|--config|--ini|--xml|--ya?ml|--json)\b|.*\.(ini|toml)$")


class WebCommandError(UserError):
    """The app doesn't say how to start it, or its command can't work; the text says what to change."""


def guess(app: Path) -> str:
    """The command for an app without a Procfile. The search is Flask's own; raises WebCommandError."""
    for module in MODULES:
        path = app / f"{module}.py"
        defined = _top_level(path) if path.is_file() else set[str]()
        for name in NAMES:
            if name in defined:
                call = "()" if name.startswith(("create", "make")) else ""
                return f"gunicorn {shlex.quote(f'{module}:{name}{call}')}"
    raise WebCommandError(
        f"{app} has no Procfile, and no {' or '.join(f'{m}.py' for m in MODULES)} that defines app, application or"
        " create_app: add a Procfile with a line such as 'web: gunicorn yourmodule:app'"
    )


def check(procfile: str, *, has_gunicorn_settings: bool) -> str:
    """The web command of a Procfile; raises WebCommandError if it can't work behind Nginx on a Unix socket.

    If the app has Gunicorn settings, these may name the app object instead of the command.
    """
    try:
        command = processes(procfile).get("web")
    except ValueError as error:
        raise WebCommandError(f"the Procfile can't be read: {error}") from None
    if command is None:
        raise WebCommandError("the Procfile has no web process: add a line such as 'web: gunicorn yourmodule:app'")
    try:
        words = one_command("web", command, "for another folder there is gunicorn's --chdir")
    except ValueError as error:
        raise WebCommandError(str(error)) from None
    if is_gunicorn(command):
        _check_gunicorn(command, words, has_gunicorn_settings=has_gunicorn_settings)
    else:
        _check_other(command, words)
    return command


def _check_gunicorn(command: str, words: list[str], *, has_gunicorn_settings: bool) -> None:
    if Path(words[-1]).name == "gunicorn" and not has_gunicorn_settings:
        raise WebCommandError(f"web: {command!r} names no app: start it with 'gunicorn yourmodule:app'")
    for word in words:
        for pattern, reason in _RESERVED_OPTIONS.items():
            if re.match(pattern, word):
                raise WebCommandError(f"web: {command!r} has {word}: {reason}")


def _check_other(command: str, words: list[str]) -> None:
    """The command of a known web server must name the socket or a settings file. Other programs may know it."""
    if any(re.search(r"\$\{?PORT\b", word) for word in words):
        raise WebCommandError(
            f"web: {command!r} has $PORT, but a server gives the app no port: listen on the Unix socket {_SOCKET}"
        )
    server = next((name for word in words if (name := Path(word).name) in _OTHER_SERVERS), None)
    if any(_SETTINGS_FILE.match(word) for word in words):
        return
    if server and not any(re.search(r"\$\{?GANTRY_SOCKET\b", word) for word in words):
        raise WebCommandError(
            f"web: {command!r} doesn't listen on the Unix socket {_SOCKET}:"
            f" start the app with '{_OTHER_SERVERS[server]}'"
        )


def _top_level(path: Path) -> set[str]:
    """The names that a module defines at its top level; raises WebCommandError if it isn't Python."""
    names: set[str] = set()
    try:
        body = ast.parse(path.read_bytes(), str(path)).body
    except SyntaxError as error:
        raise WebCommandError(f"{path} is not Python: line {error.lineno or 1}: {error.msg}") from None
    except ValueError as error:  # bytes of value 0, in Python before 3.11.4
        raise WebCommandError(f"{path} is not Python: line 1: {error}") from None
    for node in body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
    return names
