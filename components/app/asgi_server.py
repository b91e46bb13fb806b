"""The web server for an ASGI app without a Procfile: one that is among the packages that a server installs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from components.app import installed_packages

# For each package that brings a server its command for an app, best first. With uvicorn-worker, Gunicorn runs several
# processes and takes Gantry's settings.
_SERVERS: dict[str, Callable[[str], str]] = {
    "uvicorn-worker": lambda app: f"gunicorn -k uvicorn_worker.UvicornWorker {app}",
    "uvicorn": lambda app: f"uvicorn --uds $GANTRY_SOCKET {_factory(app)}",
    "hypercorn": lambda app: f"hypercorn --bind unix:$GANTRY_SOCKET {app}",
    "granian": lambda app: f"granian --interface asgi --uds $GANTRY_SOCKET {_factory(app)}",
    "daphne": lambda app: f"daphne --proxy-headers -u $GANTRY_SOCKET {app}",
}
# The package that an app without a server should add.
BEST = next(iter(_SERVERS))
# Packages, and extras of them, that depend on one of the servers.
_BRINGS = {
    ("fastapi", "standard"): "uvicorn",
    ("fastapi", "all"): "uvicorn",
    ("fastapi-cli", ""): "uvicorn",
    ("litestar", "standard"): "uvicorn",
    ("channels", "daphne"): "daphne",
    ("python-fasthtml", ""): "uvicorn",
    ("nicegui", ""): "uvicorn",
    ("shiny", ""): "uvicorn",
    ("quart", ""): "hypercorn",
}


def command(app: str, contents: Mapping[str, bytes]) -> str | None:
    """The command that serves ``app``, such as main:app or main:create_app(); None if no package brings a server.

    Raises UserError if the files that list the packages can't be read.
    """
    # Daphne calls no factories.
    servers = installed(contents) - ({"daphne"} if app.endswith("()") else set[str]())
    return next((make(shlex.quote(app)) for server, make in _SERVERS.items() if server in servers), None)


def best_command(app: str) -> str:
    """The command that serves ``app`` if it adds the package ``BEST``."""
    return _SERVERS[BEST](shlex.quote(app))


def installed(contents: Mapping[str, bytes]) -> set[str]:
    """The servers among the packages that a server installs."""
    packages = installed_packages.find(contents)
    brought = {server for (name, extra), server in _BRINGS.items() if extra in packages.get(name, ())}
    return brought | (_SERVERS.keys() & packages.keys())


def _factory(app: str) -> str:
    """The arguments of a server that calls factories only if an option says so."""
    call = app.strip("'").removesuffix("()")
    return f"--factory {call}" if call != app.strip("'") else app
