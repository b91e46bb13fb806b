"""The command that serves an app, and the package that the app lacks for it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from components.app import asgi_server
from components.app.app_target import Files, Target
from host.packages import adding


def serve(target: Target, contents: Mapping[str, bytes]) -> tuple[str, str]:
    """The command for an app, and the package that the app lacks for it, or ""."""
    prefix = f"PYTHONPATH={shlex.quote(target.root)} " if target.root else ""
    if target.kind == "aiohttp":
        return f"{prefix}gunicorn -k aiohttp.GunicornWebWorker {shlex.quote(target.name)}", ""
    if target.kind != "asgi":
        return f"{prefix}gunicorn {shlex.quote(target.name)}", ""
    if server := asgi_server.command(target.name, contents):
        return f"{prefix}{server}", ""
    return f"{prefix}{asgi_server.best_command(target.name)}", asgi_server.BEST


def line(target: Target, files: Files) -> str:
    """The line of a Procfile for an app, and what else to do."""
    command, package = serve(target, files.contents)
    return f"'web: {command}'" + (f", and {adding.add_package(package, files.app)}" if package else "")
