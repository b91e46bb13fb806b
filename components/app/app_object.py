"""Which interface an app object speaks, WSGI or ASGI, by the source of its module. Nothing is imported."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from components.app import python_source

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
# How many imports are followed from one module to the next.
_MAX_IMPORTS = 8
# How many `from module import *` are followed from one module to the next. Two modules may import each other.
_MAX_STARS = 3


@dataclass
class Module:
    """A module of the app: its names, and what they are bound to. ``root`` is the folder of absolute imports.

    ``unreadable`` says why this computer's Python can't read some of it, such as "line 2: invalid syntax".
    """

    path: Path
    root: Path
    unreadable: str = ""
    # Functions and classes, and the values that names are assigned, in their order.
    definitions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef] = field(default_factory=dict)
    values: dict[str, list[ast.expr]] = field(default_factory=dict)
    # Full names of what is imported; a leading dot stands for the package of this module, as in an import.
    imports: dict[str, str] = field(default_factory=dict)
    # Modules of which all names are imported.
    stars: list[str] = field(default_factory=list)
    # What the module binds only as a program, below `if __name__ == "__main__":`.
    program: list[ast.stmt] = field(default_factory=list)
    # The objects whose attribute ``layout`` is assigned.
    layouts: set[str] = field(default_factory=set)
    # Full names of what an import of the module calls without using the result, with their lines.
    calls: list[tuple[str, int]] = field(default_factory=list)

    def names(self) -> set[str]:
        return {*self.definitions, *self.values, *self.imports}


def read(path: Path, root: Path, stars: int = 0) -> Module:
    """The module in a file: as much of it as this computer's Python can read.

    ``stars`` is the number of `from module import *` that have been followed to this module.
    """
    source = python_source.parse(path.read_bytes())
    module = Module(path, root, source.unreadable)
    for statement in source.statements:
        try:
            _bind(module, [statement])
        except RecursionError:
            module.unreadable = module.unreadable or f"line {statement.lineno}: it is nested too deeply"
    if stars < _MAX_STARS:
        module.imports |= _imports_of_stars(module, stars)
    return module


def _imports_of_stars(module: Module, stars: int) -> dict[str, str]:
    """The full names by name of what `from other import *` imports. Names that two such imports have are left out."""
    found = [(name, other) for other in dict.fromkeys(module.stars) for name in _public(module, other, stars)]
    count, own = Counter(name for name, _ in found), module.names()
    return {name: f"{other}.{name}" for name, other in found if name not in own and count[name] == 1}


def _public(module: Module, imported: str, stars: int) -> set[str]:
    """The names that `from imported import *` imports, if ``imported`` is a module of the app."""
    other, attribute = _locate(module, imported, stars + 1) if imported.strip(".") else (None, "")
    if other is None or attribute:
        return set()
    listed = other.values.get("__all__", [])
    if len(listed) == 1 and isinstance(listed[0], ast.List | ast.Tuple):
        return {item.value for item in listed[0].elts if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    return {name for name in other.names() if not name.startswith("_")}


def origin(module: Module, name: str, depth: int = 0) -> tuple[Module, str]:
    """The module of the app that defines a name, which ``module`` may import, and the name there."""
    if name in module.imports and depth <= _MAX_IMPORTS:
        other, attribute = _locate(module, module.imports[name])
        if other and attribute:
            return origin(other, attribute, depth + 1)
    return module, name


def kind(module: Module, name: str, depth: int = 0) -> Kind | None:
    """What the object with that name speaks, or a call of it if it is a factory. None if the source doesn't show it."""
    if depth > _MAX_IMPORTS:
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
    module, name = origin(module, name)
    definition = module.definitions.get(name)
    return isinstance(definition, ast.FunctionDef) and not _takes(definition, ("environ", "start_response"))


def only_in_program(module: Module, names: Iterable[str]) -> tuple[str, int] | None:
    """The first of the names that is bound to an app only as a program, with its line; None if there is none."""
    inside = replace(module, definitions={}, values={}, imports={**module.imports}, calls=[], program=[])
    _bind(inside, module.program)
    for name in names:
        if name in inside.values and name not in module.names() and kind(inside, name):
            return name, inside.values[name][0].lineno
    return None


def returned(definition: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    """The values that a function may return, without those of functions inside it."""
    found: list[ast.expr] = []
    waiting: list[ast.AST] = [*definition.body]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Return) and node.value:
            found.append(node.value)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


def _bind(module: Module, body: list[ast.stmt]) -> None:
    """Record the names that statements bind, also those below `if`, `try` and `with`."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            module.definitions[node.name] = node
        elif isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                module.imports[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            if node.names[0].name == "*":
                module.stars.append(origin)
                continue
            for alias in node.names:
                separator = "" if origin.endswith(".") else "."
                module.imports[alias.asname or alias.name] = f"{origin}{separator}{alias.name}"
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                _assign(module, target, node.value)
        elif isinstance(node, ast.Expr):
            if isinstance(node.value, ast.Call) and (called := _called(module, node.value)):
                module.calls.append((called, node.lineno))
        else:
            # A server imports the module, so this part of it doesn't run.
            is_program = isinstance(node, ast.If) and "__name__" in ast.dump(node.test)
            module.program += node.body if isinstance(node, ast.If) and is_program else []
            for part in ("orelse",) if is_program else ("body", "orelse", "finalbody"):
                _bind(module, getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                _bind(module, handler.body)


def _called(module: Module, call: ast.Call) -> str | None:
    """The full name of what is called; for WSGIServer(address, app).serve_forever() without the first arguments."""
    function = call.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call):
        made = full_name(module, function.value.func)
        return f"{made}.{function.attr}" if made else None
    return full_name(module, function)


def _assign(module: Module, target: ast.expr, value: ast.expr) -> None:
    if isinstance(target, ast.Name):
        module.values.setdefault(target.id, []).append(value)
    elif isinstance(target, ast.Attribute) and target.attr == "layout" and isinstance(target.value, ast.Name):
        module.layouts.add(target.value.id)
    elif isinstance(target, ast.Tuple | ast.List) and target.elts:
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
            for part, its_value in zip(target.elts, value.elts, strict=True):
                _assign(module, part, its_value)
        else:
            # fast_app() of FastHTML returns the app and its decorator.
            _assign(module, target.elts[0], value)


def _kind_of(module: Module, value: ast.expr, *, name: str, depth: int) -> Kind | None:
    """The kind of a value that is assigned to ``name``."""
    if isinstance(value, ast.Name):
        return kind(module, value.id, depth + 1) if value.id != name else None
    if isinstance(value, ast.Attribute):
        return "wsgi" if value.attr == "server" else None
    if not isinstance(value, ast.Call):
        return None
    called = full_name(module, value.func)
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
    other, attribute = _locate(module, full_name)
    if other:
        return kind(other, attribute, depth + 1) if attribute else None
    if full_name in _CONVERTERS:
        return _CONVERTERS[full_name]
    speaking: Kind | None = next((kind for kind in _SPEAKING if kind in full_name.lower()), None)
    return speaking or _KINDS.get(full_name.partition(".")[0])


def _kind_of_definition(
    module: Module, definition: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, depth: int
) -> Kind | None:
    if depth > _MAX_IMPORTS:
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
    _bind(inside, definition.body)
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
    bases = [name for base in definition.bases if (name := full_name(module, base))]
    return next((found for base in bases if (found := _kind_of_call(module, base, depth + 1))), None)


def _takes(function: ast.FunctionDef | ast.AsyncFunctionDef, names: tuple[str, ...]) -> bool:
    """Whether a function has as many positional parameters as an app of the kind, the first of them with its name."""
    parameters = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return len(parameters) == len(names) and parameters[0].lstrip("_").startswith(names[0][:3])


def full_name(module: Module, expression: ast.expr) -> str | None:
    """The dotted name of an expression, with imported names replaced by what they stand for."""
    attributes: list[str] = []
    while isinstance(expression, ast.Attribute):
        attributes.append(expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        return None
    return ".".join([module.imports.get(expression.id, expression.id), *reversed(attributes)])


def _locate(module: Module, full_name: str, stars: int = 0) -> tuple[Module | None, str]:
    """The app's module that a full name lies in, and the name in that module; None for other packages' modules.

    ``stars`` is the argument of ``read``.
    """
    name = full_name.lstrip(".")
    level = len(full_name) - len(name)
    folder = module.root
    if level:
        folder = module.path.parent
        for _ in range(level - 1):
            folder = folder.parent
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        base = folder.joinpath(*parts[:count])
        path = next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)
        if path and path != module.path:
            return read(path, module.root, stars), ".".join(parts[count:])
    own = folder / "__init__.py"
    if level and own.is_file() and own != module.path:
        return read(own, module.root, stars), name
    return None, ""
