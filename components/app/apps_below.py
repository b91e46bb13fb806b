"""The remedy for a folder without a Procfile whose app is in a folder of its own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from itertools import islice
from pathlib import Path, PurePosixPath

from components.app import django_project, module_apps, named_app, own_imports, serving, unusual_places
from components.app.app_target import Files, FolderContents, Target
from components.app.module_apps import ArgumentsError
from host.packages import adding, requirements
from host.packages.project_files import load


def remedy(app: Path, contents: Mapping[str, bytes]) -> str:
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
    usual = [folder for folder in folders if not {*folder.split("/")} & {*unusual_places.NO_PACKAGES}]
    return sorted(usual, key=lambda folder: (not _has_list(files, folder), folder.count("/"), folder))


def _in_folder(inside: Files) -> Target | None:
    """The app of a folder: the named one, in its modules, in its src, or in its only package with an app."""
    try:
        return named_app.find(inside) or _in_usual_places_below(inside)
    except ArgumentsError:
        if found := unusual_places.find(inside):
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
    in_packages = list(unusual_places.in_packages(inside))
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
    """The remedy for an app in the ``folder``; ``target`` is None if only its Procfile names the app."""
    if target is None:
        found = f"{files.app} has no Procfile, and its folder {folder} has one"
    else:
        is_django = f"{folder}/manage.py" in files.contents
        project = "Django project" if is_django else f"app {target.name}"
        found = f"{files.app} has no Procfile, and its {project} is in the folder {folder}"
    if mistake := _mistake_in_list(files, folder):
        return f"{found}, but {mistake}, and make that folder the app with {_setting(files, folder)}"
    inside = _inside(files, folder)
    command = serving.serve(target, inside.contents)[0] if target else ""
    if target and (above := own_imports.command_above(folder, inside.contents, command)):
        packages = f", and {own_imports.list_above(folder, inside.contents)} there" if _has_list(files, folder) else ""
        name = folder.rpartition("/")[2]
        return f"{found}, and imports itself by the name {name}: add a Procfile with the line 'web: {above}'{packages}"
    if target is None or _has_list(files, folder):
        return f"{found}: make that the app with {_setting(files, folder)}"
    command, package = serving.serve(target, files.contents)
    added = f", and {adding.add_package(package, files.app)}" if package else ""
    return (
        f"{found}: add a Procfile with the line 'web: cd {shlex.quote(folder)} && {command}'{added}, or move the list"
        f" of its packages there and run {_setting(files, folder)}"
    )
