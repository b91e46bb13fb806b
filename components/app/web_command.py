"""The command of the web process, rejected if it can't work on a server."""

from __future__ import annotations

import re
from pathlib import Path

from components.errors import UserError
from components.shell import one_command
from host.procfile import is_gunicorn, processes

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
    """The command of the web process can't work; the text says what to change."""


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
