"""WEB_CONCURRENCY for the web command: the number of workers that Gunicorn starts without options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

NAME = "WEB_CONCURRENCY"
# A path relative to the app's folder.
_PATH = re.compile(r"(?:\./)?(?!\.\./)[\w-][\w./-]*")
# A shell of its own, such as bash -c '…$WEB_CONCURRENCY…': this shell leaves what is in single quotes as it is.
_QUOTED = re.compile(rf"'[^']*\$\{{?{NAME}[^']*'")
# Larger files aren't scripts.
_LARGEST = 1 << 20


def with_concurrency(command: str, settings: bytes, app: Path) -> str:
    """The command, in which an unset WEB_CONCURRENCY stands for the number of workers of Gunicorn's ``settings``.

    Heroku sets this variable. Here programs inherit it only if the command starts a script or a settings file of the
    ``app`` that uses it. Otherwise uvicorn would start several processes of an app that is made for one, and start
    those anew for ever if they can't import the app.
    """
    is_inherited = bool(_QUOTED.search(command)) or any(NAME.encode() in content for content in _files(command, app))
    if not is_inherited and NAME not in command:
        return command
    fixed = re.search(rb"^workers = (\d+)$", settings, re.MULTILINE)
    # nproc would take its number from these variables.
    processors = "$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)"
    number = fixed[1].decode() if fixed else f"$(({processors} + 1))"
    export = f"export {NAME}; " if is_inherited else ""
    return f': "${{{NAME}:={number}}}"; {export}{command}'


def _files(command: str, app: Path) -> Iterator[bytes]:
    """The contents of the app's files that the command names, and of the file that Gunicorn reads by itself."""
    words = set(re.split(r"[\s'\"=;&|()<>]+", command))
    if "gunicorn" in command:
        words.add("gunicorn.conf.py")
    for word in words:
        if _PATH.fullmatch(word):
            # The command may change to a folder first.
            for file in (app / word, *app.glob(f"*/{word}")):
                if file.is_file() and file.stat().st_size < _LARGEST:
                    yield file.read_bytes()
