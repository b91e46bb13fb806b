"""The web server for an ASGI app without a Procfile: one that is among the app's packages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping

from host.requirements import LOCKS, PIPFILE, PROJECT

Contents = Mapping[str, bytes]
# For each package that brings a server its command for an app, best first. With uvicorn-worker, Gunicorn runs several
# processes and takes Gantry's settings.
_SERVERS: dict[str, Callable[[str], str]] = {
    "uvicorn-worker": lambda app: f"gunicorn -k uvicorn_worker.UvicornWorker {app}",
    "uvicorn": lambda app: f"uvicorn --uds $GANTRY_SOCKET {_factory(app)}",
    "hypercorn": lambda app: f"hypercorn --bind unix:$GANTRY_SOCKET {app}",
    "granian": lambda app: f"granian --interface asgi --uds $GANTRY_SOCKET {_factory(app)}",
    "daphne": lambda app: f"daphne --proxy-headers -u $GANTRY_SOCKET {app}",
}
# Packages that depend on one of the servers.
_BRINGS = {
    "fastapi[standard]": "uvicorn",
    "fastapi[all]": "uvicorn",
    "fastapi-cli": "uvicorn",
    "litestar[standard]": "uvicorn",
    "channels[daphne]": "daphne",
    "python-fasthtml": "uvicorn",
    "nicegui": "uvicorn",
    "quart": "hypercorn",
}
_FILES = re.compile(r"(requirements[^/]*\.(txt|in)|requirements/[^/]*\.txt|pylock\.toml)$")


def command(app: str, contents: Contents) -> str | None:
    """The command that serves ``app``, such as main:app or main:create_app(); None if no package brings a server."""
    # Daphne calls no factories.
    servers = installed(contents) - ({"daphne"} if app.endswith("()") else set[str]())
    return next((make(shlex.quote(app)) for server, make in _SERVERS.items() if server in servers), None)


def installed(contents: Contents) -> set[str]:
    """The servers among the packages that the app's files name."""
    # Only these files are read, because an app may have large ones.
    texts = [contents[name].decode("utf-8", errors="replace") for name in contents if _lists_packages(name)]
    # A package's name begins a requirement or a key, or is quoted, as in a lock's `name = "uvicorn"`.
    text = "\n".join(texts).lower().replace("_", "-")
    named = {package for package in (*_SERVERS, *_BRINGS) if _is_named(package, text)}
    return {_BRINGS.get(package, package) for package in named}


def _lists_packages(name: str) -> bool:
    return name in (*LOCKS, PROJECT, PIPFILE) or _FILES.fullmatch(name) is not None


def _is_named(package: str, text: str) -> bool:
    name, _, extra = package.removesuffix("]").partition("[")
    extras = rf"\s*\[[^\]]*\b{extra}\b[^\]]*\]" if extra else ""
    return re.search(rf"""(?m)(?:^\s*|['"]){re.escape(name)}{extras}(?![\w.-])""", text) is not None


def _factory(app: str) -> str:
    """The arguments of a server that calls factories only if an option says so."""
    call = app.strip("'").removesuffix("()")
    return f"--factory {call}" if call != app.strip("'") else app
