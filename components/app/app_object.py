"""Which interface an app object speaks, WSGI or ASGI, by the source of its module. Nothing is imported."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from components.app import python_module
from components.app.python_module import Module

# "dash" is a Dash object: its attribute ``server`` is the WSGI app.
Kind = Literal["wsgi", "asgi", "dash", "aiohttp"]
# The packages whose objects and functions make apps of one kind.
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("flask", "bottle", "falcon", "pyramid", "werkzeug", "cherrypy", "webob", "apiflask"), "wsgi"),
    **dict.fromkeys(("fastapi", "starlette", "quart", "litestar", "starlite", "blacksheep", "fasthtml"), "asgi"),
    **dict.fromkeys(("sanic", "channels", "uvicorn", "nicegui", "strawberry", "shiny"), "asgi"),
    **dict.fromkeys(("connexion", "emmett", "muffin", "esmerald", "ravyn", "lilya", "responder"), "asgi"),
    "aiohttp": "aiohttp",
    "dash": "dash",
}
# Names that say it, wherever they come from: django.core.asgi.get_asgi_application, falcon.asgi.App, socketio.ASGIApp.
_SPEAKING: tuple[Kind, ...] = ("asgi", "wsgi")
# These packages turn one kind into the other one, and their names say where they come from.
_CONVERTERS: dict[str, Kind] = {
    "asgiref.wsgi.WsgiToAsgi": "asgi",
    "a2wsgi.WSGIMiddleware": "asgi",
    "a2wsgi.ASGIMiddleware": "wsgi",
    "starlette.middleware.wsgi.WSGIMiddleware": "asgi",
    "fastapi.middleware.wsgi.WSGIMiddleware": "asgi",
}


def kind(module: Module, name: str, depth: int = 0) -> Kind | None:
    """What the object with that name speaks, or a call of it if it is a factory. None if the source doesn't show it."""
    if depth > python_module.MAX_IMPORTS:
        return None
    if name in module.values:
        # The last assignment counts. If that wraps the name itself, the one before says more.
        for value in reversed(module.values[name]):
            if found := _kind_of(module, value, name=name, depth=depth):
                return found
        return None
    if name in module.definitions:
        return _kind_of_definition(module, module.definitions[name], depth)
    return _kind_of_import(module, module.imports[name], depth) if name in module.imports else None


def is_factory(module: Module, name: str) -> bool:
    """Whether the name is a function that makes the app, rather than the app itself."""
    module, name = python_module.origin(module, name)
    definition = module.definitions.get(name)
    return isinstance(definition, ast.FunctionDef) and not _takes(definition, ("environ", "start_response"))


def only_in_program(module: Module, names: Iterable[str]) -> tuple[str, int] | None:
    """The first of the names that is bound to an app only as a program, with its line; None if there is none."""
    inside = replace(module, definitions={}, values={}, imports={**module.imports}, calls=[], program=[])
    python_module.bind(inside, module.program)
    for name in names:
        if name in inside.values and name not in module.names() and kind(inside, name):
            return name, inside.values[name][0].lineno
    return None


def _kind_of(module: Module, value: ast.expr, *, name: str, depth: int) -> Kind | None:
    """The kind of a value that is assigned to ``name``."""
    if isinstance(value, ast.Name):
        return kind(module, value.id, depth + 1) if value.id != name else None
    if isinstance(value, ast.Attribute):
        return "wsgi" if value.attr == "server" else None
    if not isinstance(value, ast.Call):
        return None
    called = python_module.full_name(module, value.func)
    if called and (found := _kind_of_call(module, called, depth)):
        return found
    # A wrapper that isn't known, such as WhiteNoise(app), speaks what it wraps.
    wrapped = [argument for argument in value.args[:1] if isinstance(argument, ast.Name | ast.Call)]
    return next(
        (found for argument in wrapped if (found := _kind_of(module, argument, name=name, depth=depth + 1))), None
    )


def _kind_of_call(module: Module, called: str, depth: int) -> Kind | None:
    """The kind of what a call of the full name returns."""
    first, _, rest = called.partition(".")
    if not rest and first in module.definitions:
        return _kind_of_definition(module, module.definitions[first], depth)
    if found := _kind_of_import(module, called, depth):
        return found
    if first in module.imports.values() or hasattr(builtins, first):
        return None
    # from fasthtml.common import *
    return next(
        (found for star in module.stars if (found := _kind_of_import(module, f"{star}.{called}", depth + 1))), None
    )


def _kind_of_import(module: Module, full_name: str, depth: int) -> Kind | None:
    other, attribute = python_module.locate(module, full_name)
    if other:
        return kind(other, attribute, depth + 1) if attribute else None
    if full_name in _CONVERTERS:
        return _CONVERTERS[full_name]
    speaking: Kind | None = next((kind for kind in _SPEAKING if kind in full_name.lower()), None)
    return speaking or _KINDS.get(full_name.partition(".")[0])


def _kind_of_definition(
    module: Module, definition: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, depth: int
) -> Kind | None:
    if depth > python_module.MAX_IMPORTS:
        return None
    if isinstance(definition, ast.ClassDef):
        return _kind_of_class(module, definition, depth)
    if isinstance(definition, ast.AsyncFunctionDef) and _takes(definition, ("scope", "receive", "send")):
        return "asgi"
    if _takes(definition, ("environ", "start_response")):
        return "wsgi"
    # A factory: what it returns, with the names that it binds itself.
    inside = replace(
        module, definitions={**module.definitions}, values={**module.values}, imports={**module.imports}, calls=[]
    )
    python_module.bind(inside, definition.body)
    returned = [node.value for node in ast.walk(definition) if isinstance(node, ast.Return) and node.value]
    found: Kind | None = next(
        (found for value in returned if (found := _kind_of(inside, value, name="", depth=depth + 1))), None
    )
    # Of the servers, only that of aiohttp awaits a factory.
    return found if isinstance(definition, ast.FunctionDef) or found == "aiohttp" else None


def _kind_of_class(module: Module, definition: ast.ClassDef, depth: int) -> Kind | None:
    for method in definition.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name == "__call__":
            return "asgi" if isinstance(method, ast.AsyncFunctionDef) else "wsgi"
    bases = [name for base in definition.bases if (name := python_module.full_name(module, base))]
    return next((found for base in bases if (found := _kind_of_call(module, base, depth + 1))), None)


def _takes(function: ast.FunctionDef | ast.AsyncFunctionDef, names: tuple[str, ...]) -> bool:
    """Whether a function takes what an app of the kind gets: by the first name, or because it calls the last one."""
    parameters = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    if len(parameters) != len(names):
        return False
    # Such as start_response("200 OK", headers), whatever its name is. Most other functions get one argument.
    responds = any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == parameters[-1]
        and len(node.args) > 1
        for node in ast.walk(function)
    )
    return responds or parameters[0].lstrip("_").startswith(names[0][:3])
