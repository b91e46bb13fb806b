"""The setting ``env``: which names and values a server can pass to the app unchanged. Values are never shown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import cast

from components.settings.declaration import Structured
from host import variables as server_variables

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The limits of one variable with its name, and of all together, in bytes.
# https://man7.org/linux/man-pages/man2/execve.2.html (limits)
MAX_BYTES = 128 * 1024 - 1
MAX_TOTAL_BYTES = 1024 * 1024
# Numbers of 10 digits and more are mostly phone numbers and ids, which must not change.
FIRST_REFUSED_NUMBER = 10**9

_GUNICORN = "Gantry passes Gunicorn's socket and settings in it: put your options into the app's gunicorn.conf.py"
_VENV = "it points to the release's own packages"
_SYSTEMD = "systemd sets it, and the app wouldn't start without its value"
_SHELL = "bash, which starts the app, uses it"
RESERVED = {
    "RELEASE": "Gantry sets it to the release's name",
    "GANTRY_STACK": "Gantry sets it to the stack's name",
    "GANTRY_SOCKET": "Gantry sets it to the socket that the web process listens on",
    "PORT": "Gantry sets it to a port of the process's own, because two releases run side by side",
    "GUNICORN_CMD_ARGS": _GUNICORN,
    "PATH": _VENV,
    "VIRTUAL_ENV": _VENV,
    "PYTHONHOME": _VENV,
    # https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Environment%20Variables%20Set%20or%20Propagated%20by%20the%20Service%20Manager
    **dict.fromkeys(
        (
            "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES", "WATCHDOG_PID",
            "WATCHDOG_USEC", "MAINPID", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "STATE_DIRECTORY",
            "CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY", "FDSTORE",
        ),
        _SYSTEMD,
    ),
    **dict.fromkeys(
        (
            "BASH", "BASHOPTS", "BASHPID", "BASH_ARGV0", "BASH_COMMAND", "BASH_COMPAT", "BASH_ENV",
            "BASH_EXECUTION_STRING", "BASH_SUBSHELL", "BASH_VERSINFO", "BASH_VERSION", "BASH_XTRACEFD",
            "COMP_WORDBREAKS", "EPOCHREALTIME", "EPOCHSECONDS", "HISTCMD", "IFS", "LINENO", "OLDPWD", "OPTERR",
            "OPTIND", "PPID", "PS1", "PS4", "PWD", "RANDOM", "SHELLOPTS", "SHLVL", "SRANDOM", "_",
        ),
        _SHELL,
    ),
}  # fmt: skip


def read(value: object) -> tuple[dict[str, str], list[str]]:
    """The app's environment variables as text, and the mistakes in names and values."""
    if not isinstance(value, dict):
        return {}, ["env must be a map; set a variable with: pulumi config set --path env.NAME <value>"]
    variables: dict[str, str] = {}
    mistakes: list[str] = []
    for name, content in cast(dict[str, object], value).items():
        text = as_text(content)
        broken = _broken_name(name) or _broken_value(name, content, text)
        if broken:
            mistakes.append(f"env.{name}: {broken}")
        else:
            variables[name] = text
    if too_long := total_mistake(variables):
        mistakes.append(too_long)
    return variables, mistakes


def variables() -> Structured[dict[str, str]]:
    return Structured(
        type="object", rule=f"a map of names to texts, each of at most {MAX_BYTES} bytes with its name", read=read
    )


def _broken_name(name: str) -> str | None:
    if not (broken := name_mistake(name)):
        return None
    path = f"env.{name}" if name in RESERVED else f"'env[{json.dumps(name)}]'"
    return f"{broken}; remove it with: pulumi config rm --path {path}"


def name_mistake(name: str) -> str | None:
    """Why no variable can have this name; None if one can."""
    if not _NAME.fullmatch(name):
        return "a variable's name has letters, digits and _, and no digit first"
    return f"this variable can't be set: {RESERVED[name]}" if name in RESERVED else None


def text_mistake(name: str, text: str) -> str | None:
    """Why the variable can't have this text, which isn't shown; None if it can."""
    if broken := server_variables.mistake(name, text):
        return broken
    if "\0" in text:
        return "its value has a NUL, which no variable can hold; encode it, in base64 for example"
    try:
        size = _size(name, text)
    except UnicodeEncodeError:
        return "its value isn't valid Unicode"
    if size > MAX_BYTES:
        return f"it has {size} bytes with its name, and Linux takes at most {MAX_BYTES}: put it into a file of the app"
    return None


def total_mistake(variables: Mapping[str, str]) -> str | None:
    """Why no program can start with all these variables; None if one can."""
    total = sum(_size(name, text) for name, text in variables.items())
    if total <= MAX_TOTAL_BYTES:
        return None
    return (
        f"env has {total} bytes in all, and a program takes at most {MAX_TOTAL_BYTES}:"
        " put large values into files of the app"
    )


def _broken_value(name: str, value: object, text: str) -> str | None:
    remedy = f"set it again with: pulumi config set --path env.{name} <value>"
    quoting = f"put it in quotes, or set it as text with: pulumi config set --path --type string env.{name} <value>"
    if value is None or isinstance(value, (dict, list)):
        return f"its value isn't text; {remedy}"
    if isinstance(value, float):
        # Pulumi has already turned 1.10 into 1.1.
        return f"its value is a number with a fraction, which may lose digits: {quoting}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= FIRST_REFUSED_NUMBER:
        # Pulumi has already turned +15551234567 into 15551234567, and 12345678901234567890 into 12345678901234567000.
        return (
            f"its value is a number of {len(text.lstrip('-'))} digits, and Pulumi drops the plus of such numbers and"
            f" rounds long ones: {quoting}"
        )
    broken = text_mistake(name, text)
    return f"{broken}; {remedy}" if broken else None


def _size(name: str, text: str) -> int:
    return len(name) + 1 + len(text.encode())


def as_text(value: object) -> str:
    """The text of a value that is a text, a number or a boolean."""
    return str(value).lower() if isinstance(value, bool) else str(value)
