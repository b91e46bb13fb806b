"""What runs beside web, as the settings, the Procfile and app.json say it: checked before anything is touched."""

from __future__ import annotations

import json
import re
import shlex
from typing import cast

from components.errors import UserError
from host import cron, procfile

MOST = 64
_OPERATORS = re.compile(r"^[;|&<>]+$")


class ProcessError(UserError):
    """The app's Procfile or app.json asks for what can't run on a server; the text has the remedy."""


def one_command(name: str, command: str, remedy: str = "put several into a script") -> list[str]:
    """The words of a command; raises ValueError where a shell would be needed to run it."""
    try:
        words = shlex.split(command)
        operators = [word for word in shlex.shlex(command, punctuation_chars=True) if _OPERATORS.match(word)]
    except ValueError as error:
        raise ValueError(f"{name}: {command!r} can't be read: {error}") from None
    if operators:
        raise ValueError(f"{name}: {command!r} has {operators[0]!r}: it must be one command; {remedy}")
    return words


def check(text: str, app_json: str | None) -> None:
    """Refuse a Procfile or an app.json of which the server could run only a part; raises ProcessError."""
    try:
        commands = procfile.processes(text)
        entries = cron.app_entries(app_json) if app_json is not None else []
    except ValueError as error:
        raise ProcessError(str(error)) from None
    for name, command in (*commands.items(), *(("app.json: cron", entry.command) for entry in entries)):
        try:
            one_command(name, command)
        except ValueError as error:
            raise ProcessError(str(error)) from None


def counts(given: object, text: str | None) -> tuple[dict[str, int], list[str]]:
    """The setting ``processes`` for an app with the Procfile ``text``, and what is wrong with it.

    Where the Procfile isn't known, the server says which of them it hasn't.
    """
    if not isinstance(given, dict):
        return {}, ["processes must be a map; set a count with: pulumi config set --path processes.worker 2"]
    types = _types(text)
    found, mistakes = dict[str, int](), list[str]()
    for name, count in cast(dict[str, object], given).items():
        remedy = f"set it with: pulumi config set --path processes.{name} <number>"
        if name == "web":
            mistakes.append("processes.web is no setting: how many answer requests is the setting workers")
        elif types is not None and name not in types:
            known = f"only {', '.join(sorted(types))}" if types else "no process beside web and release"
            remedy = f"remove it with: pulumi config rm --path processes.{name}"
            mistakes.append(
                f"processes.{name} counts a process that the app hasn't: its Procfile has {known}; {remedy}"
            )
        elif not str(count).isdecimal() or int(str(count)) > MOST:
            mistakes.append(f"processes.{name} is {count!r}, but must be a whole number from 0 to {MOST}; {remedy}")
        else:
            found[name] = int(str(count))
    return found, mistakes


def entries(given: object) -> tuple[tuple[cron.Entry, ...], list[str]]:
    """The setting ``cron``, and what is wrong with it."""
    if not isinstance(given, list):
        return (), [
            "cron must be a list; set an entry's parts with: pulumi config set --path 'cron[0].schedule' <when>"
        ]
    found, mistakes = list[cron.Entry](), list[str]()
    for index, each in enumerate(cast(list[object], given)):
        try:
            entry = cron.entry(each)
            one_command("command", entry.command)
            found.append(entry)
        except ValueError as error:
            remedy = f"set it with: pulumi config set --path 'cron[{index}].schedule' <when>, or .command"
            mistakes.append(f"cron[{index}]: {error}; {remedy}")
    return tuple(found), mistakes


def parse(text: str) -> object:
    """A structured setting; None for what isn't JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _types(text: str | None) -> set[str] | None:
    """The types beside web and release; None where the Procfile can't be read (packing says why)."""
    if text is None:
        return None
    try:
        return procfile.processes(text).keys() - {"web", "release"}
    except ValueError:
        return None
