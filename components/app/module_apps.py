"""Finds the apps in the modules of a folder without a Procfile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from components.app import app_call, app_object, installed_packages, own_server, python_module
from components.app.app_target import Files, Target, dotted_name
from components.errors import UserError

# Flask's own search comes first: https://flask.palletsprojects.com/en/stable/cli/#application-discovery
MODULES = ("wsgi", "app", "main", "asgi", "application", "server")
NAMES = ("app", "application", "create_app", "make_app")
_FACTORIES = NAMES[2:]
T = TypeVar("T")


class DiscoveryError(UserError):
    """The app can't be found, or no server for it is installed; the text says what to add."""


class ArgumentsError(DiscoveryError):
    """No server can call the factory of the app, which needs arguments, for example. Another module may call it."""


def found_by(searches: Iterable[Callable[[], T | None]]) -> Iterator[T]:
    """The apps that the searches find, in the order of the searches. One that raises ArgumentsError has found none.

    If no search finds anything, raises the first of these errors.
    """
    refusal: ArgumentsError | None = None
    is_found = False
    for search in searches:
        try:
            found = search()
        except ArgumentsError as error:
            refusal = refusal or error
            continue
        if found is not None:
            is_found = True
            yield found
    if refusal and not is_found:
        raise refusal


def in_modules(files: Files, root: str, folder: str) -> Iterator[Target]:
    """The apps in the modules of a folder, the most likely one first; ``root`` is the folder of absolute imports.

    Raises DiscoveryError for a module that no server can import or call. It is an ArgumentsError if the modules have
    no app but a factory that needs arguments.
    """
    names = [f"{name}.py" for name in MODULES]
    if folder != root:
        # In a package, these modules may be packages, too, such as saleor/wsgi/__init__.py.
        names = [*names, "wsgi/__init__.py", "asgi/__init__.py", "__init__.py"]
    searches = (
        partial(in_file, files, f"{folder}{name}", root, is_certain=folder == root)
        for name in names
        if f"{folder}{name}" in files.contents
    )
    waiting: list[Target] = []
    searching = found_by(searches)
    while True:
        try:
            found = next(searching, None)
        except DiscoveryError:
            # Of the modules after an app of unknown kind, only one with a better app counts.
            if not waiting:
                raise
            break
        if found is None:
            break
        if found.is_unknown:
            waiting.append(found)
        else:
            yield found
    yield from waiting


def in_file(files: Files, file: str, root: str, *, is_certain: bool) -> Target | None:
    """The app in the module ``file``; ``root`` is the folder of absolute imports.

    Unless ``is_certain``, a usual name counts only if the source shows that it is an app. Raises DiscoveryError.
    """
    module = python_module.read(files.app / file, files.app / root)
    folder = file[: file.rfind("/") + 1]
    if folder != root and f"{folder}__init__.py" not in files.contents and _imports_siblings(module):
        # A folder that is no package, whose modules import each other by their bare names.
        module, root, is_certain = python_module.read(files.app / file, files.app / folder), folder, True
    dotted = dotted_name(file.removeprefix(root))
    found = _in_module(module, dotted, files, is_certain=is_certain)
    if found is None:
        return None
    if found.is_dash and (index := _index_of_dash(files, file, found.name, root)):
        dotted = dotted_name(index.removeprefix(root))
    return replace(found, name=f"{dotted}:{found.name}", root=root.rstrip("/"), is_partial=bool(module.unreadable))


def named(files: Files, file: str, root: str, name: str, kind: app_object.Kind) -> Target | None:
    """The app with a ``name`` in the module ``file``, which may be a call; None if the module has no such name.

    ``kind`` is that of an app whose source doesn't show it. Raises DiscoveryError as ``in_file`` does.
    """
    module = python_module.read(files.app / file, files.app / root)
    bare, is_call, _ = name.partition("(")
    bare = bare.strip()
    dotted = dotted_name(file.removeprefix(root))
    if not python_module.may_have(module, bare):
        return None
    found = _kind(module, bare, files) or kind
    if found == "dash":
        target = _dash(module, bare)
        return replace(target, name=f"{dotted}:{target.name}", root=root.rstrip("/"))
    if not is_call:
        _check(module, bare, dotted=dotted, kind=found)
        name = _called(module, bare) if bare in module.names() else bare
    return Target(f"{dotted}:{name}", found, root.rstrip("/"), is_partial=bool(module.unreadable))


def _index_of_dash(files: Files, file: str, server: str, root: str) -> str:
    """The module that gives the Dash object in ``file`` its layout and imports its ``server``; or ""."""
    module = python_module.read(files.app / file, files.app / root)
    if module.layouts or b"use_pages" in files.contents[file]:
        return ""
    folder = file[: file.rfind("/") + 1]
    names = sorted(name for name in files.contents if name.endswith(".py") and name.rpartition("/")[0] == folder[:-1])
    for name in names:
        if name == file or b".layout" not in files.contents[name] or b"server" not in files.contents[name]:
            continue
        other = python_module.read(files.app / name, files.app / root)
        if other.layouts and server in other.imports and python_module.origin(other, server)[0].path == module.path:
            return name
    return ""


def _imports_siblings(module: python_module.Module) -> bool:
    folder = module.path.parent
    names = [name.split(".") for name in module.imports.values() if not name.startswith(".")]
    # In app/app.py, app.models is that of the folder.
    bare = [first for first, *below in names if first != folder.name or not (below and _is_in(folder, below[0]))]
    return any(_is_in(folder, name) for name in bare)


def _is_in(folder: Path, name: str) -> bool:
    """Whether a folder has a module or a folder with a name."""
    return (folder / f"{name}.py").is_file() or (folder / name).is_dir()


def _in_module(module: python_module.Module, dotted: str, files: Files, *, is_certain: bool) -> Target | None:
    """The app in a module: one with a usual name, or else the first one of a known kind.

    What another package makes counts last, if it isn't known to be an app.
    """
    usual = [name for name in NAMES if name in module.names()]
    # What the module makes itself says more than what it imports: wsgi.py may wrap the app that it imports.
    usual.sort(key=lambda name: name not in module.values and name not in module.definitions)
    others = sorted({*module.values, *module.definitions} - {*usual})
    unknown = [name for name in usual if app_call.is_of_unknown_kind(module, name)]
    direct = (name for name in others if app_call.is_made_directly(module, name))
    names = [*(name for name in usual if name not in unknown), *direct, *unknown]

    def app_named(name: str) -> Target | None:
        kind = _kind(module, name, files)
        if own_server.is_not_for_requests(module, name):
            return None
        if kind == "dash":
            return _dash(module, name)
        if not (kind or (is_certain and name in usual)):
            return None
        _check(module, name, dotted=dotted, kind=kind)
        called = name if kind == "aiohttp" else _called(module, name)
        return Target(called, kind, is_unknown=name in unknown)

    return next(found_by(partial(app_named, name) for name in names), None)


def _kind(module: python_module.Module, name: str, files: Files) -> app_object.Kind | None:
    kind = app_object.kind(module, name)
    if kind != "asgi":
        return kind
    made, _ = python_module.origin(module, name)
    # Before version 3, the apps of connexion spoke WSGI.
    imports_it = any(full.partition(".")[0] == "connexion" for full in made.imports.values())
    return "wsgi" if imports_it and installed_packages.is_older("connexion", "3", files.contents) else kind


def _check(module: python_module.Module, name: str, *, dotted: str, kind: app_object.Kind | None) -> None:
    """Check that a server can import the app and call it.

    Raises ArgumentsError for a factory that needs arguments, and DiscoveryError for any other mistake.
    """
    file = module.path.name
    if missing := app_call.required_arguments(module, name) if app_object.is_factory(module, name) else []:
        raise ArgumentsError(
            f"{module.path}: the factory {name} needs {', '.join(missing)}: give {'them' if missing[1:] else 'it'} a"
            f" default, or add a Procfile with a line such as 'web: gunicorn \"{dotted}:{name}('value')\"'"
        )
    if kind is None and name in _FACTORIES and app_call.is_async(module, name):
        raise ArgumentsError(
            f"{module.path}: {name} is an async function, and servers don't await factories: write 'def {name}' there,"
            " and let the app itself await the rest when it starts"
        )
    if kind is None and (position := app_call.returns_tuple(module, name)) is not None:
        raise ArgumentsError(
            f"{module.path}: the factory {name} returns a tuple, and a server needs the app alone: add the line"
            f" 'app = {name}()[{position}]' below it"
        )
    if kind is None and own_server.is_not_callable(module, name) and (line := own_server.line(file, module)):
        raise DiscoveryError(f"{module.path}: {name} brings its own server: add a Procfile with the line {line}")
    if call := own_server.blocking_call(module, name):
        raise DiscoveryError(
            f"{module.path}, line {call[1]}: {call[0]}() starts a server while another server imports the app: write it"
            " below the line 'if __name__ == \"__main__\":'"
        )


def _called(module: python_module.Module, name: str) -> str:
    """The name with parentheses if it is a factory, as its source or, if that isn't known, its name says."""
    is_unknown = name not in module.values and name not in module.definitions
    is_factory = app_object.is_factory(module, name) or (is_unknown and name.startswith(("create", "make")))
    return f"{name}()" if is_factory else name


def _dash(module: python_module.Module, name: str) -> Target:
    """The WSGI app of a Dash object."""
    if server := next(app_call.servers_of_dash(module), None):
        return Target(server, "wsgi", is_dash=True)
    if name in module.definitions:
        raise DiscoveryError(
            f"{module.path}: {name}() returns a Dash object, and a web server needs its WSGI app: add the line"
            f" 'server = {name}().server'"
        )
    raise DiscoveryError(
        f"{module.path}: {name} is a Dash object, and a web server needs its WSGI app: add the line"
        f" 'server = {name}.server'"
    )
