"""Variables of the app: which names and values a server can give to it unchanged."""

from __future__ import annotations

import json
import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Of one variable with its name, and of all, in bytes. https://man7.org/linux/man-pages/man2/execve.2.html (limits)
MAX_BYTES = 128 * 1024 - 1
MAX_TOTAL = 1024 * 1024

_GUNICORN = "Gunicorn's socket and settings are in it: put options of yours into the app's gunicorn.conf.py"
_VENV = "it leads to the release's own packages"
_SYSTEMD = "systemd sets it, and the app wouldn't start without its value"
_SHELL = "the shell that starts the app takes it for itself"
RESERVED = {
    "RELEASE": "Gantry sets it to the release's name",
    "GANTRY_STACK": "Gantry sets it to the stack's name",
    "GANTRY_SOCKET": "Gantry sets it to the socket that the web process listens on",
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
    **dict.fromkeys(("PWD", "IFS", "OPTIND"), _SHELL),
}  # fmt: skip


def read(key: str, given: dict[str, object]) -> tuple[dict[str, str], list[str]]:
    """The variables as text, and what is wrong with those of the setting ``key``. Values are never shown."""
    found: dict[str, str] = {}
    mistakes: list[str] = []
    for name, value in given.items():
        text = _text(value)
        broken = _broken_name(name) or _broken_value(name, value, text)
        if broken:
            mistakes.append(f"{key}.{name}: {broken}")
        else:
            found[name] = text
    total = sum(_size(name, text) for name, text in found.items())
    if total > MAX_TOTAL:
        mistakes.append(
            f"{key} has {total} bytes in all, and a program takes {MAX_TOTAL}: put what is large into files of the app"
        )
    return found, mistakes


def _broken_name(name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return (
            "a variable's name has letters, digits and _, and no digit first; remove it with:"
            f" pulumi config rm --path 'env[{json.dumps(name)}]'"
        )
    if name in RESERVED:
        return f"this variable can't be set: {RESERVED[name]}; take it out with: pulumi config rm --path env.{name}"
    return None


def _broken_value(name: str, value: object, text: str) -> str | None:
    again = f"set it again with: pulumi config set --path env.{name} <value>"
    if value is None or isinstance(value, (dict, list)):
        return f"its value isn't text; {again}"
    if isinstance(value, float):
        # 1.10 has become 1.1 by now.
        return f"its value is a number with a fraction, which may lose digits: put it in quotes, or {again}"
    if "\0" in text:
        return f"its value has a NUL, which no variable can hold; encode it, in base64 for example, and {again}"
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"its value isn't valid Unicode; {again}"
    if (size := _size(name, text)) > MAX_BYTES:
        return f"it has {size} bytes with its name, and Linux takes {MAX_BYTES}: put it into a file of the app"
    return None


def _size(name: str, text: str) -> int:
    return len(name) + 1 + len(text.encode())


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
