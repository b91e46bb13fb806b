"""Finds the app in a folder without a Procfile, and the command that serves it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath

from components.app import app_call, app_object, asgi_server, django_project, own_server
from components.app.app_target import Files, FolderContents, Target
from components.errors import UserError
from host import explain
from host.packages import requirements

# Flask's own search comes first: https://flask.palletsprojects.com/en/stable/cli/#application-discovery
MODULES = ("wsgi", "app", "main", "asgi", "application", "server")
NAMES = ("app", "application", "create_app", "make_app")
# Folders whose modules aren't the app.
_NO_PACKAGES = ("tests", "test", "docs", "examples", "scripts", "migrations", "node_modules")


class DiscoveryError(UserError):
    """The app can't be found, or no server for it is installed; the text says what to add."""


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
        f" {explain.add_package(package, app)}"
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
    return f"'web: {line}'" + (f", and {explain.add_package(package, files.app)}" if package else "")


def _find(files: Files) -> Target:
    """The most likely app; raises DiscoveryError if there is none, or if several packages have one."""
    for root in ("", "src/"):
        if found := django_project.find(files, root) or next(_in_modules(files, root, root), None):
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
    modules = sorted(name for name in files.contents if name.endswith(".py") and "/" not in name.removeprefix("src/"))
    for name in modules:
        root = "src/" if name.startswith("src/") else ""
        if target := _in_file(files, name, root, is_certain=False):
            return (
                f"{files.app} has no Procfile, and {name} isn't a usual name, but has the app {target.name}: add a"
                f" Procfile with the line {_line(target, files)}"
            )
    if remedy := below(files.app, files.contents):
        return remedy
    for name in (f"{root}{module}.py" for root in ("", "src/") for module in MODULES):
        if name in files.contents and (reason := app_object.read(files.app / name, files.app).unreadable):
            version = ".".join(map(str, sys.version_info[:2]))
            path, module = ("PYTHONPATH=src " if "/" in name else ""), PurePosixPath(name).stem
            return (
                f"{files.app} has no Procfile, and this computer's Python {version} can't read {name} ({reason}): add a"
                f" Procfile with the line 'web: {path}gunicorn {module}:app', or correct the file"
            )
    for name in sorted(modules, key=lambda name: (PurePosixPath(name).stem not in MODULES, name)):
        if line := own_server.line(name, app_object.read(files.app / name, files.app)):
            return f"{files.app} has no Procfile, and {name} brings its own server: add a Procfile with the line {line}"
    procfiles = [name for name in files.contents if name.endswith("/Procfile")]
    usual = " or ".join(f"{module}.py" for module in MODULES[:3])
    elsewhere = f" ({procfiles[0]} isn't read: the setting app must name its folder)" if procfiles else ""
    return (
        f"{files.app} has no Procfile{elsewhere}, and no {usual} that defines app, application or create_app: add a"
        " Procfile with a line such as 'web: gunicorn yourmodule:app'"
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
    own.sort(key=lambda folder: f"{folder}/Procfile" not in files.contents)
    if own[1:]:
        return (
            f"{files.app} has no Procfile, and the folders {', '.join(own)} have apps with packages of their own: make"
            f" one the app, such as {_setting(files, own[0])}"
        )
    # Folders with a list of packages come first.
    folder = next(iter(found), None)
    return _line_below(files, folder, found[folder]) if folder else ""


def _folders(files: Files) -> list[str]:
    """The folders in which an app may be, those with lists of packages first, then by their depth."""
    modules = [PurePosixPath(name) for name in files.contents if name.endswith(".py") and name.count("/") < 5]
    folders = {str(folder) for module in modules for folder in module.parents[:-1]}
    usual = [folder for folder in folders if not {*folder.split("/")} & {*_NO_PACKAGES}]
    return sorted(usual, key=lambda folder: (not _has_list(files, folder), folder.count("/"), folder))


def _in_folder(inside: Files) -> Target | None:
    """The app of a folder: in its modules, in its src, or in its only package with an app."""
    for root in ("", "src/"):
        # A package is found from the folder above it.
        is_package = f"{root}__init__.py" in inside.contents
        modules = islice(_in_modules(inside, root, root), 0 if is_package else 1)
        if target := django_project.find(inside, root) or next(modules, None):
            return target
    in_packages = list(_in_packages(inside))
    return in_packages[0] if len(in_packages) == 1 else None


def _has_list(files: Files, folder: str) -> bool:
    """Whether a folder has a list of packages of its own."""
    return any(f"{folder}/{name}" in files.contents for name in requirements.NAMES)


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
    if target is None or _has_list(files, folder):
        return f"{found}: make that the app with {_setting(files, folder)}"
    command, package = _serve(target, files.contents)
    added = f", and {explain.add_package(package, files.app)}" if package else ""
    return (
        f"{found}: add a Procfile with the line 'web: cd {shlex.quote(folder)} && {command}'{added}, or move the list"
        f" of its packages there and run {_setting(files, folder)}"
    )


def _in_packages(files: Files) -> Iterator[Target]:
    """The apps in folders of the app or of src, at most one for each folder."""
    places = {tuple(name.split("/")[:-1]) for name in files.contents if name.endswith(".py")}
    for place in sorted(places):
        root, package = "/".join([*place[:-1], ""]), place[-1] if place else ""
        is_package = root in ("", "src/") and package.isidentifier() and package not in (*_NO_PACKAGES, "src")
        if is_package and not _has_own_packages(files, f"{root}{package}"):
            yield from islice(_in_modules(files, root, f"{root}{package}/"), 1)


def _has_own_packages(files: Files, folder: str) -> bool:
    """Whether the app has a uv workspace, and the folder a pyproject.toml: then the folder has packages of its own."""
    workspace = requirements.table(files.contents.get, "tool", "uv", "workspace")
    return bool(workspace) and f"{folder}/{requirements.PROJECT}" in files.contents


def _in_modules(files: Files, root: str, folder: str) -> Iterator[Target]:
    """The apps in the modules of a folder, the most likely one first; ``root`` is the folder of absolute imports."""
    names = MODULES if folder == root else (*MODULES, "__init__")
    for name in names:
        if (file := f"{folder}{name}.py") not in files.contents:
            continue
        if target := _in_file(files, file, root, is_certain=folder == root):
            yield target


def _in_file(files: Files, file: str, root: str, *, is_certain: bool) -> Target | None:
    """The app in a module of the app; ``root`` is the folder of absolute imports."""
    module = app_object.read(files.app / file, files.app / root)
    folder = file[: file.rfind("/") + 1]
    if folder != root and f"{folder}__init__.py" not in files.contents and _imports_siblings(module):
        # A folder that is no package, whose modules import each other by their bare names.
        module, root, is_certain = app_object.read(files.app / file, files.app / folder), folder, True
    dotted = file.removeprefix(root).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    found = _in_module(module, dotted, is_certain=is_certain)
    if found is None:
        return None
    return Target(f"{dotted}:{found.name}", found.kind, root.rstrip("/"), is_partial=bool(module.unreadable))


def _imports_siblings(module: app_object.Module) -> bool:
    siblings = (module.path.parent / name.partition(".")[0] for name in module.imports.values())
    return any(path.with_suffix(".py").is_file() or path.is_dir() for path in siblings)


def _in_module(module: app_object.Module, dotted: str, *, is_certain: bool) -> Target | None:
    """The app in a module: one with a usual name, or else the first one of a known kind.

    Unless ``is_certain``, a usual name counts only if the source shows that it is an app.
    """
    usual = [name for name in NAMES if name in module.names()]
    # What the module makes itself says more than what it imports: wsgi.py may wrap the app that it imports.
    usual.sort(key=lambda name: name not in module.values and name not in module.definitions)
    others = sorted({*module.values, *module.definitions} - {*usual})
    for name in [*usual, *(name for name in others if app_call.is_made_directly(module, name))]:
        kind = app_object.kind(module, name)
        if kind == "dash":
            return _dash(module, name)
        if kind or (is_certain and name in usual):
            _check(module, name, dotted, kind)
            return Target(name if kind == "aiohttp" else _called(module, name), kind)
    return None


def _check(module: app_object.Module, name: str, dotted: str, kind: app_object.Kind | None) -> None:
    """Raises DiscoveryError for an app that fails when a server imports it or calls it."""
    file = module.path.name
    if missing := app_call.required_arguments(module, name) if app_object.is_factory(module, name) else []:
        raise DiscoveryError(
            f"{module.path}: the factory {name} needs {', '.join(missing)}: give {'them' if missing[1:] else 'it'} a"
            f" default, or add a Procfile with a line such as 'web: gunicorn \"{dotted}:{name}('value')\"'"
        )
    if kind is None and own_server.is_not_callable(module, name) and (line := own_server.line(file, module)):
        raise DiscoveryError(f"{module.path}: {name} brings its own server: add a Procfile with the line {line}")
    if call := own_server.blocking_call(module, name):
        raise DiscoveryError(
            f"{module.path}, line {call[1]}: {call[0]}() starts a server while another server imports the app: write it"
            " below the line 'if __name__ == \"__main__\":'"
        )


def _called(module: app_object.Module, name: str) -> str:
    """The name with parentheses if it is a factory, as its source or, if that isn't known, its name says."""
    is_unknown = name not in module.values and name not in module.definitions
    is_factory = app_object.is_factory(module, name) or (is_unknown and name.startswith(("create", "make")))
    return f"{name}()" if is_factory else name


def _dash(module: app_object.Module, name: str) -> Target:
    """The WSGI app of a Dash object."""
    if server := next(app_object.servers_of_dash(module), None):
        return Target(server, "wsgi")
    if name in module.definitions:
        raise DiscoveryError(
            f"{module.path}: {name}() returns a Dash object, and a web server needs its WSGI app: add the line"
            f" 'server = {name}().server'"
        )
    raise DiscoveryError(
        f"{module.path}: {name} is a Dash object, and a web server needs its WSGI app: add the line"
        f" 'server = {name}.server'"
    )
