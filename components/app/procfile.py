"""Checks an app's Procfile and app.json: a server must be able to run every process."""

from __future__ import annotations

from collections.abc import Mapping

from components.app import web_command
from components.errors import UserError
from components.shell import one_command
from host import cron, procfile


class ProcfileError(UserError):
    """The Procfile or app.json has a process that a server can't run; the text says what to change."""


def check(contents: Mapping[str, bytes]) -> None:
    """Check the files of an app, by name; raises WebCommandError or ProcfileError."""
    try:
        text = procfile.decode(contents["Procfile"])
    except ValueError as error:
        raise ProcfileError(str(error)) from None
    web_command.check(text, has_gunicorn_settings=web_command.GUNICORN_SETTINGS in contents)
    try:
        commands = procfile.processes(text)
        entries = cron.app_entries(_decode(contents["app.json"])) if "app.json" in contents else []
        for name, command in (*commands.items(), *(("app.json: cron", entry.command) for entry in entries)):
            one_command(name, command)
    except ValueError as error:
        raise ProcfileError(str(error)) from None


def _decode(content: bytes) -> str:
    return content.decode("utf-8-sig", errors="replace")
