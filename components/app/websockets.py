"""Apps on uvicorn with WebSockets that uvicorn would refuse, because it lacks a package."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from host import procfile

# Routes of FastAPI, Starlette, Litestar and Django's Channels.
_ROUTE = re.compile(
    rb"(?m)^\s*@\w+\.websocket(?:_route)?\(|\bWebSocketRoute\("
    rb"|\bProtocolTypeRouter\((?s:.){0,300}?['\"]websocket['\"]\s*:"
)
_TESTS = re.compile(r"(?:^|/)(?:tests?|examples?|docs)/|(?:^|/)(?:test_[^/]*|conftest)\.py$")
_UVICORN = re.compile(r"\buvicorn|\bfastapi run\b")
_LISTS = re.compile(r"(?:requirements[^/]*\.txt|pyproject\.toml|[a-z]+\.lock|Pipfile(?:\.lock)?)$")
# The packages with which uvicorn answers WebSockets, and those that bring one of them.
_PACKAGES = re.compile(
    rb"(?i)\b(?:websockets|wsproto|python-fasthtml|nicegui|shiny|gradio)\b|(?:uvicorn|fastapi|litestar)\["
)


def notes(contents: Mapping[str, bytes]) -> Iterator[str]:
    """A sentence if modules have routes for WebSockets and no list of packages has what uvicorn needs for them.

    ``contents`` are the files of the app by name, with a valid Procfile.
    """
    web = procfile.processes(procfile.decode(contents["Procfile"]))["web"]
    if not _UVICORN.search(web) or any(_LISTS.search(name) and _PACKAGES.search(contents[name]) for name in contents):
        return
    names = sorted(name for name in contents if name.endswith(".py") and not _TESTS.search(name))
    for name in names:
        if match := _ROUTE.search(source := contents[name]):
            line = source.count(b"\n", 0, match.end()) + 1
            yield (
                f"{name}, line {line} has WebSockets, which uvicorn refuses without a package for them: add"
                " `websockets` to the app's packages"
            )
            return
