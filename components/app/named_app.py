"""The app that its author has named for another program: FLASK_APP and others, uwsgi.ini, or [tool.fastapi]."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from dataclasses import replace

from components.app import documents, module_apps
from components.app.app_object import Kind
from components.app.app_target import Files, Target
from components.app.module_apps import DiscoveryError
from host import flask_app

_QUART, _UWSGI = "QUART_APP", "uwsgi.ini"


def find(files: Files) -> Target | None:
    """The named app; None if the app's files name none, or only a module that they don't have.

    Raises DiscoveryError for a module that has no such name, or a factory that no server can call.
    """
    for value, place, kind in _named(files):
        app = flask_app.find(value, files.contents)
        if app is None:
            continue
        if not app.name:
            if target := module_apps.in_file(files, app.file, app.root, is_certain=True):
                return replace(target, kind=target.kind or kind)
            continue
        name = re.split(r"[(\s]", app.name)[0]
        if not name.isidentifier():
            raise DiscoveryError(
                f"{place} names the app {value!r}, but behind the colon must be a name or a call, such as"
                f" {app.module}:app: correct it"
            )
        target = module_apps.named(files, app.file, app.root, app.name, kind)
        if target is None and place.endswith(_UWSGI):
            # The file may be left over from another server.
            continue
        if target is None:
            raise DiscoveryError(f"{place} names the app {value!r}, but {app.file} has no {name}: correct the name")
        return target
    return None


def _named(files: Files) -> Iterator[tuple[str, str, Kind]]:
    """The names of apps, each with its place and the kind that such an app usually is."""
    kinds: dict[str, Kind] = {flask_app.NAME: "wsgi", _QUART: "asgi"}
    for variable, kind in kinds.items():
        value, file = flask_app.of_files(files.contents, variable)
        if value:
            yield value, f"{variable} in {files.app / file}", kind
    if value := _of_uwsgi(files):
        yield value, str(files.app / _UWSGI), "wsgi"
    tool = documents.table(documents.read(files.contents, "pyproject.toml").get("tool"))
    entrypoint = documents.table(tool.get("fastapi")).get("entrypoint")
    if isinstance(entrypoint, str):
        yield entrypoint, f"[tool.fastapi] in {files.app / 'pyproject.toml'}", "asgi"


def _of_uwsgi(files: Files) -> str:
    """The app that uwsgi.ini names, such as wsgi:app; empty if it names none."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, inline_comment_prefixes=("#", ";"))
    try:
        parser.read_string(files.contents.get(_UWSGI, b"").decode(errors="replace"))
    except configparser.Error:
        return ""
    options = dict(parser["uwsgi"]) if parser.has_section("uwsgi") else {}
    module = options.get("module") or options.get("wsgi") or options.get("wsgi-file") or options.get("file") or ""
    name = options.get("callable") or "application"
    return module if ":" in module or not module else f"{module}:{name}"
