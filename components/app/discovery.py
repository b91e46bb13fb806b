"""Finds the app in a folder without a Procfile, and the command that serves it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

from components.app import (
    app_call,
    app_object,
    asgi_server,
    django_project,
    module_apps,
    named_app,
    own_server,
    python_module,
)
from components.app.app_target import Files, FolderContents, Target
from components.app.module_apps import MODULES, NAMES, ArgumentsError, DiscoveryError
from host.packages import adding, requirements
from host.packages.project_files import load

# Folders whose modules aren't the app.
_NO_PACKAGES = ("tests", "test", "docs", "examples", "scripts", "migrations", "node_modules")
# Names of modules that make the app for another purpose than to serve it. They are searched last.
_OTHER_PURPOSES = re.compile("celery|worker|task|test|setup|conf|seed|shell|cli|fabfile|manage")

# Reasons for which no version of Python can read a module.
_OF_NO_PYTHON = re.compile("bytes of value 0|codec|encoding|never closed")


def command(app: Path, contents: Mapping[str, bytes]) -> str:
    """The command for the app in the folder ``app``, which has no Procfile; raises UserError.

    ``contents`` has its files by name. Those that list its packages decide which server an ASGI app gets.
    """
    target = _find(Files(app, contents))
    line, package = _serve(target, contents)
    if not package:
        return line
    raise DiscoveryError(
        f"{app} has the ASGI app {target.name}, and none of its packages can serve it:"
        f" {adding.add_package(package, app)}"
    )


def _serve(target: Target, contents: Mapping[str, bytes]) -> tuple[str, str]:
    """The command for an app, and the package that the app lacks for it, or ""."""
    prefix = f"PYTHONPATH={shlex.quote(target.root)} " if target.root else ""
    if target.kind == "aiohttp":
        return f"{prefix}gunicorn -k aiohttp.GunicornWebWorker {shlex.quote(target.name)}", ""
    if target.kind != "asgi":
        return f"{prefix}gunicorn {shlex.quote(target.name)}", ""
    if server := asgi_server.command(target.name, contents):
        return f"{prefix}{server}", ""
    return f"{prefix}{asgi_server.best_command(target.name)}", asgi_server.BEST


def _line(target: Target, files: Files) -> str:
    """The line of a Procfile for an app, and what else to do."""
    line, package = _serve(target, files.contents)
    return f"'web: {line}'" + (f", and {adding.add_package(package, files.app)}" if package else "")


def _find(files: Files) -> Target:
    """The most likely app; raises DiscoveryError if there is none, or if several packages have one."""
    try:
        if named := named_app.find(files):
            return named
        return _in_usual_places(files)
    except ArgumentsError:
        # Another module may call the factory, such as flasky.py with app = create_app("default").
        if found := _unusual(files):
            raise DiscoveryError(_line_of_unusual(files, *found)) from None
        raise


def _in_usual_places(files: Files) -> Target:
    """The most likely app in a module with a usual name; raises DiscoveryError."""
    for root in ("", "src/"):
        if found := django_project.find(files, root) or next(module_apps.in_modules(files, root, root), None):
            return found
    in_packages = list(_in_packages(files))
    # A folder may hold a template of an app, which is not Python.
    in_packages = [target for target in in_packages if not target.is_partial] or in_packages
    if len(in_packages) == 1:
        return in_packages[0]
    if in_packages:
        names = " or ".join(target.name for target in in_packages)
        raise DiscoveryError(
            f"{files.app} has no Procfile and several apps ({names}): add a Procfile with a line such as"
            f" {_line(in_packages[0], files)}"
        )
    raise DiscoveryError(_nothing_found(files))


def _nothing_found(files: Files) -> str:
    """What to do for an app that Gantry finds only by a guess, or not at all."""
    if found := _unusual(files):
        return _line_of_unusual(files, *found)
    if remedy := below(files.app, files.contents):
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
    modules = sorted(_modules(files), key=lambda name: (PurePosixPath(name).stem not in MODULES, name))
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


def _modules(files: Files) -> list[str]:
    """The modules in the folder of the app and in src."""
    return [name for name in files.contents if name.endswith(".py") and "/" not in name.removeprefix("src/")]


def _unusual(files: Files) -> tuple[str, Target] | None:
    """The first module with an app, whatever its name, and the app; raises DiscoveryError."""
    modules = sorted(_modules(files), key=lambda name: (_OTHER_PURPOSES.search(name) is not None, name))

    def found(name: str) -> tuple[str, Target] | None:
        root = "src/" if name.startswith("src/") else ""
        target = module_apps.in_file(files, name, root, is_certain=False)
        return (name, target) if target else None

    return next(module_apps.found_by(partial(found, name) for name in modules), None)


def _line_of_unusual(files: Files, name: str, target: Target) -> str:
    return (
        f"{files.app} has no Procfile, and {name} isn't a usual name, but has the app {target.name}: add a"
        f" Procfile with the line {_line(target, files)}"
    )


def below(app: Path, contents: Mapping[str, bytes]) -> str:
    """The remedy for a folder without a Procfile whose app is in a folder of its own; empty if none has one."""
    files = Files(app, contents)
    found = dict[str, Target | None]()
    for folder in _folders(files):
        # An app may have folders with apps of their own, such as a src or a template.
        if any(folder.startswith(f"{other}/") for other in found):
            continue
        inside = _inside(files, folder)
        target = _in_folder(inside)
        if target or (_has_list(files, folder) and "Procfile" in inside.contents):
            found[folder] = target
    own = [folder for folder in found if _has_list(files, folder)]
    # A list that can't be read may be a template.
    own = [folder for folder in own if not _mistake_in_list(files, folder)] or own
    own.sort(key=lambda folder: f"{folder}/Procfile" not in files.contents)
    if own[1:]:
        return (
            f"{files.app} has no Procfile, and the folders {', '.join(own)} have apps with packages of their own: make"
            f" one the app, such as {_setting(files, own[0])}"
        )
    # Folders with a list of packages come first.
    folder = next(iter([*own, *found]), None)
    return _line_below(files, folder, found[folder]) if folder else ""


def _folders(files: Files) -> list[str]:
    """The folders in which an app may be, those with lists of packages first, then by their depth."""
    modules = [PurePosixPath(name) for name in files.contents if name.endswith(".py") and name.count("/") < 5]
    folders = {str(folder) for module in modules for folder in module.parents[:-1]}
    usual = [folder for folder in folders if not {*folder.split("/")} & {*_NO_PACKAGES}]
    return sorted(usual, key=lambda folder: (not _has_list(files, folder), folder.count("/"), folder))


def _in_folder(inside: Files) -> Target | None:
    """The app of a folder: the named one, in its modules, in its src, or in its only package with an app."""
    try:
        return named_app.find(inside) or _in_usual_places_below(inside)
    except ArgumentsError:
        if found := _unusual(inside):
            return found[1]
        raise


def _in_usual_places_below(inside: Files) -> Target | None:
    """The app in a module of a folder with a usual name; raises DiscoveryError for one that no server can call."""
    for root in ("", "src/"):
        # A package is found from the folder above it.
        is_package = f"{root}__init__.py" in inside.contents
        modules = islice(module_apps.in_modules(inside, root, root), 0 if is_package else 1)
        if target := django_project.find(inside, root) or next(modules, None):
            return target
    in_packages = list(_in_packages(inside))
    return in_packages[0] if len(in_packages) == 1 else None


def _has_list(files: Files, folder: str) -> bool:
    """Whether a folder has a list of packages of its own."""
    return any(f"{folder}/{name}" in files.contents for name in requirements.NAMES)


def _mistake_in_list(files: Files, folder: str) -> str:
    """Why a folder's own list of packages can't be read; empty if it can."""
    for name in (f"{folder}/{name}" for name in requirements.NAMES if name != requirements.LIST):
        if name in files.contents:
            try:
                load(name, files.contents[name])
            except ValueError as error:
                return str(error)
    return ""


def _setting(files: Files, folder: str) -> str:
    """The command that makes a folder the app."""
    return f"`pulumi config set app {shlex.quote(str(files.app / folder))}`"


def _inside(files: Files, folder: str) -> Files:
    """A folder of the app as an app of its own, with the app's lists of packages."""
    names = () if _has_list(files, folder) else requirements.NAMES
    lists = {name: files.contents[name] for name in names if name in files.contents}
    return Files(files.app / folder, FolderContents(files.contents, folder, lists))


def _line_below(files: Files, folder: str, target: Target | None) -> str:
    if target is None:
        found = f"{files.app} has no Procfile, and its folder {folder} has one"
    else:
        is_django = f"{folder}/manage.py" in files.contents
        project = "Django project" if is_django else f"app {target.name}"
        found = f"{files.app} has no Procfile, and its {project} is in the folder {folder}"
    if mistake := _mistake_in_list(files, folder):
        return f"{found}, but {mistake}, and make that folder the app with {_setting(files, folder)}"
    if target is None or _has_list(files, folder):
        return f"{found}: make that the app with {_setting(files, folder)}"
    command, package = _serve(target, files.contents)
    added = f", and {adding.add_package(package, files.app)}" if package else ""
    return (
        f"{found}: add a Procfile with the line 'web: cd {shlex.quote(folder)} && {command}'{added}, or move the list"
        f" of its packages there and run {_setting(files, folder)}"
    )


def _in_packages(files: Files) -> Iterator[Target]:
    """The apps in folders of the app or of src, at most one for each folder; raises ArgumentsError."""
    places = {tuple(name.split("/")[:-1]) for name in files.contents if name.endswith(".py")}
    packages = [("/".join([*place[:-1], ""]), place[-1]) for place in sorted(places) if place]

    def first(root: str, package: str) -> Target | None:
        is_package = root in ("", "src/") and package.isidentifier() and package not in (*_NO_PACKAGES, "src")
        if not is_package or _has_own_packages(files, f"{root}{package}"):
            return None
        return next(module_apps.in_modules(files, root, f"{root}{package}/"), None)

    yield from module_apps.found_by(partial(first, *package) for package in packages)


def _has_own_packages(files: Files, folder: str) -> bool:
    """Whether the app has a uv workspace, and the folder a pyproject.toml: then the folder has packages of its own."""
    try:
        workspace = requirements.table(files.contents.get, "tool", "uv", "workspace")
    except ValueError:
        # The list of a folder below the app. The app's own list has been checked.
        return False
    return bool(workspace) and f"{folder}/{requirements.PROJECT}" in files.contents
