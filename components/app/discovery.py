"""Finds the app in a folder without a Procfile, and the command that serves it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from components.app import app_object, asgi_server
from components.app.app_object import Kind
from components.errors import UserError
from host import explain
from host.packages import requirements

# Flask's own search comes first: https://flask.palletsprojects.com/en/stable/cli/#application-discovery
MODULES = ("wsgi", "app", "main", "asgi", "application", "server")
NAMES = ("app", "application", "create_app", "make_app")
# Folders whose modules aren't the app.
_NO_PACKAGES = ("tests", "test", "docs", "examples", "scripts", "migrations", "node_modules")
_DJANGO_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")
_DJANGO_APP = r"""(?m)^{}\s*=\s*["']([\w.]+)\.(\w+)["']"""


class DiscoveryError(UserError):
    """The app can't be found, or no server for it is installed; the text says what to add."""


@dataclass(frozen=True)
class Target:
    """An app as servers name it, such as shop.main:app or app:create_app(); ``root`` is the folder of its imports.

    ``is_partial`` says that this computer's Python can't read all of its module.
    """

    name: str
    kind: Kind | None
    root: str = ""
    is_partial: bool = False


@dataclass(frozen=True)
class Files:
    """The files of the app in the folder ``app``, by name."""

    app: Path
    contents: Mapping[str, bytes]


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
        if found := _django(files, root) or next(_in_modules(files, root, root), None):
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
    if manage := next((name for name in sorted(files.contents) if re.fullmatch("[^/]+/manage.py", name)), None):
        return _django_below(files, manage.partition("/")[0])
    for name in (f"{root}{module}.py" for root in ("", "src/") for module in MODULES):
        if name in files.contents and (reason := app_object.read(files.app / name, files.app).unreadable):
            version = ".".join(map(str, sys.version_info[:2]))
            path, module = ("PYTHONPATH=src " if "/" in name else ""), PurePosixPath(name).stem
            return (
                f"{files.app} has no Procfile, and this computer's Python {version} can't read {name} ({reason}): add a"
                f" Procfile with the line 'web: {path}gunicorn {module}:app', or correct the file"
            )
    procfiles = [name for name in files.contents if name.endswith("/Procfile")]
    usual = " or ".join(f"{module}.py" for module in MODULES[:3])
    elsewhere = f" ({procfiles[0]} isn't read: the setting app must name its folder)" if procfiles else ""
    return (
        f"{files.app} has no Procfile{elsewhere}, and no {usual} that defines app, application or create_app: add a"
        " Procfile with a line such as 'web: gunicorn yourmodule:app'"
    )


def _django_below(files: Files, folder: str) -> str:
    """What to do for a Django project in a folder of the app."""
    found = f"{files.app} has no Procfile, and its Django project is in the folder {folder}"
    if any(f"{folder}/{name}" in files.contents for name in requirements.NAMES):
        return f"{found}: make that the app with `pulumi config set app {shlex.quote(str(files.app / folder))}`"
    target = _django(files, f"{folder}/")
    name = target.name if target else "yourproject.wsgi"
    return (
        f"{found}: add a Procfile with the line 'web: cd {shlex.quote(folder)} && gunicorn {name}', or move the list of"
        f" its packages there and run `pulumi config set app {shlex.quote(str(files.app / folder))}`"
    )


def _in_packages(files: Files) -> Iterator[Target]:
    """The apps in folders of the app or of src, at most one for each folder."""
    places = {tuple(name.split("/")[:-1]) for name in files.contents if name.endswith(".py")}
    for place in sorted(places):
        root, package = "/".join([*place[:-1], ""]), place[-1] if place else ""
        if root in ("", "src/") and package.isidentifier() and package not in (*_NO_PACKAGES, "src"):
            yield from islice(_in_modules(files, root, f"{root}{package}/"), 1)


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
    found = _in_module(module, is_certain=is_certain)
    if found is None:
        return None
    dotted = file.removeprefix(root).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return Target(f"{dotted}:{found.name}", found.kind, root.rstrip("/"), is_partial=bool(module.unreadable))


def _imports_siblings(module: app_object.Module) -> bool:
    siblings = (module.path.parent / name.partition(".")[0] for name in module.imports.values())
    return any(path.with_suffix(".py").is_file() or path.is_dir() for path in siblings)


def _in_module(module: app_object.Module, *, is_certain: bool) -> Target | None:
    """The app in a module: one with a usual name, or else the first one of a known kind.

    Unless ``is_certain``, a usual name counts only if the source shows that it is an app.
    """
    names = [name for name in NAMES if name in module.names()]
    for name in [*names, *sorted(module.values.keys() - set(names))]:
        kind = app_object.kind(module, name)
        if kind == "dash":
            return _dash(module, name)
        if kind or (is_certain and name in names):
            return Target(_called(module, name), kind)
    return None


def _called(module: app_object.Module, name: str) -> str:
    """The name with parentheses if it is a factory, as its source or, if that isn't known, its name says."""
    is_unknown = name not in module.values and name not in module.definitions
    is_factory = app_object.is_factory(module, name) or (is_unknown and name.startswith(("create", "make")))
    return f"{name}()" if is_factory else name


def _dash(module: app_object.Module, name: str) -> Target:
    """The WSGI app of a Dash object."""
    if server := next(app_object.servers_of_dash(module), None):
        return Target(server, "wsgi")
    raise DiscoveryError(
        f"{module.path}: {name} is a Dash object, and a web server needs its WSGI app: add the line"
        f" 'server = {name}.server'"
    )


def _django(files: Files, root: str) -> Target | None:
    """The app of a Django project: the one that its settings name, or else that of a wsgi.py or asgi.py."""
    manage = files.contents.get(f"{root}manage.py")
    if manage is None:
        return None
    match = _DJANGO_SETTINGS.search(manage.decode(errors="replace"))
    package = match[1].partition(".")[0] if match else ""
    prefix = f"{root}{match[1].replace('.', '/').removesuffix('/__init__')}" if match else None
    settings = "\n".join(
        files.contents[name].decode(errors="replace")
        for name in sorted(files.contents)
        # With settings in a package, base.py and others name the app.
        if prefix and name.endswith(".py") and name.startswith((f"{prefix}.py", f"{root}{package}/settings/"))
    )
    modules = {
        name.removeprefix(root).removesuffix(".py").replace("/", ".")
        for name in files.contents
        if name.startswith(root) and name.endswith(("/wsgi.py", "/asgi.py")) and name.removeprefix(root).count("/") < 3
    }
    for kind in _django_kinds(files):
        named = re.search(_DJANGO_APP.format(f"{kind.upper()}_APPLICATION"), settings)
        if named and named[1] in modules:
            return _django_target(named[1], named[2], kind, root)
    # The package of the settings first.
    for module in sorted(modules, key=lambda name: (not name.startswith(f"{package}."), name)):
        if module.endswith(".wsgi"):
            return _django_target(module, "application", "wsgi", root)
    return next((_django_target(module, "application", "asgi", root) for module in sorted(modules)), None)


def _django_kinds(files: Files) -> tuple[Kind, ...]:
    """The kinds of app that can be served, the preferred one first."""
    return ("asgi", "wsgi") if asgi_server.installed(files.contents) else ("wsgi",)


def _django_target(module: str, name: str, kind: Kind, root: str) -> Target:
    # Gunicorn's usual name of the app in a module is application.
    is_usual = kind == "wsgi" and name == "application"
    return Target(module if is_usual else f"{module}:{name}", kind, root.rstrip("/"))
