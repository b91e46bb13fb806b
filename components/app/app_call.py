"""Finds out whether a name of a module is bound to an app: to a call of an app's class, or to a factory."""

from __future__ import annotations

import ast
import re

from components.app import app_object

# The names of classes and functions that make a whole app.
_APP_CLASS = re.compile(
    r"(?:^|\.)\w*(?:App|API|Flask|Quart|Starlette|Litestar|Starlite|Sanic|Bottle|Dash|[Aa]pplication|_app"
    r"|ProtocolTypeRouter)$"
)


def is_made_directly(module: app_object.Module, name: str) -> bool:
    """Whether the name is bound to a call of an app's class, or is a function that returns one.

    Extensions such as SQLAlchemy(app), parts of apps such as Blueprint, and views aren't.
    """
    if definition := module.definitions.get(name):
        if not isinstance(definition, ast.FunctionDef) or required_arguments(module, name):
            return False
        return _returns_app(module, definition)
    return name in module.values and _is_app_call(module, module.values[name][-1])


def made_by(module: app_object.Module, name: str) -> str | None:
    """The full name of the class or function whose call is bound to the name; None if it is bound to something else."""
    value = module.values[name][-1] if name in module.values else None
    return app_object.full_name(module, value.func) if isinstance(value, ast.Call) else None


def required_arguments(module: app_object.Module, name: str) -> list[str]:
    """The arguments of a function of the module that a call must give."""
    definition = module.definitions.get(name)
    if not isinstance(definition, ast.FunctionDef):
        return []
    arguments = definition.args
    positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    without_default = [argument.arg for argument, default in named if default is None]
    return positional[: len(positional) - len(arguments.defaults)] + without_default


def _is_app_call(module: app_object.Module, value: ast.expr) -> bool:
    if isinstance(value, ast.Attribute):
        return value.attr == "server"
    called = app_object.full_name(module, value.func) if isinstance(value, ast.Call) else None
    return called is not None and (called in module.definitions or bool(_APP_CLASS.search(called)))


def _returns_app(module: app_object.Module, definition: ast.FunctionDef) -> bool:
    returned = [node.value for node in ast.walk(definition) if isinstance(node, ast.Return)]
    names = {value.id for value in returned if isinstance(value, ast.Name)}
    assigned = [
        node.value
        for node in ast.walk(definition)
        if isinstance(node, ast.Assign)
        and any(isinstance(part, ast.Name) and part.id in names for part in node.targets)
    ]
    return any(isinstance(value, ast.Call) and _is_app_call(module, value) for value in [*returned, *assigned])
