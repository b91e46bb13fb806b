"""Apps that need WebSockets, which Nginx doesn't pass: without a word, their pages would stay empty."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import dropwhile
from pathlib import PurePosixPath

from components.app.scripts import command_of_a_shell, without_wrappers
from components.app.shell_words import simple_commands
from host import procfile

# Programs whose pages get their content through a WebSocket.
_PROGRAMS = {
    **dict.fromkeys(("streamlit", "chainlit", "solara", "voila", "marimo", "reflex"), ""),
    **dict.fromkeys(("panel", "bokeh"), "serve"),
    "shiny": "run",
}
# Routes of FastAPI, Starlette, Quart, Litestar, Flask-Sock and Django's Channels. Those of Socket.IO poll instead.
_ROUTE = re.compile(
    rb"(?m)^\s*@\w+\.(?:websocket(?:_route)?\(|route\(.*websocket\s*=\s*True)|\bWebSocketRoute\("
    rb"|^\s*(?:from|import) flask_sock\b|\bProtocolTypeRouter\((?s:.){0,300}?['\"]websocket['\"]\s*:"
)
_TESTS = re.compile(r"(?:^|/)(?:tests?|examples?|docs)/|(?:^|/)(?:test_[^/]*|conftest)\.py$")


def notes(contents: Mapping[str, bytes]) -> Iterator[str]:
    """A sentence for an app that needs WebSockets, by its web command or the routes in its modules.

    ``contents`` are the files of the app by name, with a valid Procfile.
    """
    web = procfile.processes(procfile.decode(contents["Procfile"]))["web"]
    if program := _program(web):
        yield (
            f"servers don't pass WebSockets, through which {program} fills its pages: visitors will see empty ones,"
            " and no setting changes that"
        )
        return
    names = sorted(name for name in contents if name.endswith(".py") and not _TESTS.search(name))
    for name in names:
        if match := _ROUTE.search(source := contents[name]):
            line = source.count(b"\n", 0, match.end()) + 1
            yield (
                f"servers don't pass WebSockets, and {name}, line {line} has some: the other routes of the app work;"
                " let the pages poll in place of these"
            )
            return


def _program(web: str) -> str:
    """The program in the web command whose pages need a WebSocket; or ""."""
    for simple in simple_commands(web):
        words = list(dropwhile(lambda word: word.startswith("-"), without_wrappers(simple.words)))
        if not words:
            continue
        if inner := command_of_a_shell(words):
            return _program(inner)
        program, following, *_ = [*(words[2:] if words[1:2] == ["-m"] else words), "", ""]
        name = PurePosixPath(program).name
        if name in _PROGRAMS and _PROGRAMS[name] in ("", following):
            return name
    return ""
