"""Finds the app in a folder without a Procfile, and the command that serves it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from components.app import (
    app_call,
    app_object,
    apps_below,
    django_project,
    module_apps,
    named_app,
    own_imports,
    own_server,
    python_module,
    serving,
    unusual_places,
)
from components.app.app_target import Files, Target
from components.app.module_apps import MODULES, NAMES, ArgumentsError, DiscoveryError
from host.packages import adding

# Reasons for which no version of Python can read a module.
_OF_NO_PYTHON = re.compile("bytes of value 0|codec|encoding|never closed")


def command(app: Path, contents: Mapping[str, bytes]) -> str:
    """The command for the app in the folder ``app``, which has no Procfile; raises UserError.

    ``contents`` has its files by name. Those that list its packages decide which server an ASGI app gets.
    """
    target = _find(Files(app, contents))
    line, package = serving.serve(target, contents)
    if not package:
        return line
    raise DiscoveryError(
        f"{app} has the ASGI app {target.name}, and none of its packages can serve it:"
        f" {adding.add_package(package, app)}"
    )


def _find(files: Files) -> Target:
    """The most likely app; raises DiscoveryError if there is none, or if several packages have one."""
    try:
        if named := named_app.find(files):
            return named
        return _in_usual_places(files)
    except ArgumentsError:
        # Another module may call the factory, such as flasky.py with app = create_app("default").
        if found := unusual_places.find(files):
            raise DiscoveryError(_line_of_unusual(files, *found)) from None
        raise


def _in_usual_places(files: Files) -> Target:
    """The most likely app in a module with a usual name; raises DiscoveryError."""
    for root in ("", "src/"):
        if found := django_project.find(files, root) or next(module_apps.in_modules(files, root, root), None):
            return found
    in_packages = list(unusual_places.in_packages(files))
    # A folder may hold a template of an app, which is not Python.
    in_packages = [target for target in in_packages if not target.is_partial] or in_packages
    if len(in_packages) == 1:
        return in_packages[0]
    if in_packages:
        names = " or ".join(target.name for target in in_packages)
        raise DiscoveryError(
            f"{files.app} has no Procfile and several apps ({names}): add a Procfile with a line such as"
            f" {serving.line(in_packages[0], files)}"
        )
    raise DiscoveryError(_nothing_found(files))


def _nothing_found(files: Files) -> str:
    """The error for an app that Gantry finds only by a guess, or not at all: what to do."""
    if found := unusual_places.find(files):
        return _line_of_unusual(files, *found)
    if remedy := apps_below.remedy(files.app, files.contents):
        return remedy
    for name in (f"{root}{module}.py" for root in ("", "src/") for module in MODULES):
        if name in files.contents and (reason := python_module.read(files.app / name, files.app).unreadable):
            if _OF_NO_PYTHON.search(reason):
                return f"{files.app} has no Procfile, and no Python can read {name} ({reason}): correct the file"
            version = ".".join(map(str, sys.version_info[:2]))
            path, module = ("PYTHONPATH=src " if "/" in name else ""), PurePosixPath(name).stem
            return (
                f"{files.app} has no Procfile, and this computer's Python {version} can't read {name} ({reason}): add a"
                f" Procfile with the line 'web: {path}gunicorn {module}:app', or correct the file"
            )
    modules = sorted(unusual_places.modules(files), key=lambda name: (PurePosixPath(name).stem not in MODULES, name))
    for name in modules:
        if found := app_object.only_in_program(python_module.read(files.app / name, files.app), NAMES):
            return (
                f"{files.app} has no Procfile, and {name} makes {found[0]} in line {found[1]}, below the line 'if"
                f" __name__ == \"__main__\":', which a server doesn't run: write the line above it"
            )
    for name in modules:
        if line := own_server.line(name, python_module.read(files.app / name, files.app)):
            return f"{files.app} has no Procfile, and {name} brings its own server: add a Procfile with the line {line}"
    for name in modules:
        if message := _without_requests(files, name):
            return message
    procfiles = [name for name in files.contents if name.endswith("/Procfile")]
    usual = " or ".join(f"{module}.py" for module in MODULES[:3])
    elsewhere = f" ({procfiles[0]} isn't read: the setting app must name its folder)" if procfiles else ""
    return (
        f"{files.app} has no Procfile{elsewhere}, and no {usual} that defines app, application or create_app: add a"
        " Procfile with a line such as 'web: gunicorn yourmodule:app'"
    )


def _without_requests(files: Files, name: str) -> str:
    """A sentence for a module whose app answers no requests, such as one of Celery; empty for others."""
    module = python_module.read(files.app / name, files.app)
    app = next((each for each in NAMES if own_server.is_not_for_requests(module, each)), None)
    if app is None:
        return ""
    made = app_call.made_by(*python_module.origin(module, app))
    return (
        f"{files.app} has no Procfile, and {app} in {name} is made by {made}, which answers no requests of a web"
        " server: add a Procfile with a line such as 'web: gunicorn yourmodule:app'"
    )


def _line_of_unusual(files: Files, name: str, target: Target) -> str:
    command = serving.serve(target, files.contents)[0]
    if name == "__init__.py" and (above := own_imports.remedy_of_package(files.app, files.contents, command)):
        return f"{files.app} has no Procfile, and is a package itself, with the app in {name}: {above}"
    return (
        f"{files.app} has no Procfile, and {name} isn't a usual name, but has the app {target.name}: add a"
        f" Procfile with the line {serving.line(target, files)}"
    )
