"""Finds out whether a name of a module is bound to an app: to a call of an app's class, or to a factory."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from components.app import app_object, python_module
from host import signatures

# The names of classes and functions that make a whole app.
_APP_CLASS = re.compile(
    r"(?:^|\.)\w*(?:App|API|Flask|Quart|Starlette|Litestar|Starlite|Sanic|Bottle|Dash|[Aa]pplication|_app"
    r"|ProtocolTypeRouter)$"
)


def is_made_directly(module: python_module.Module, name: str) -> bool:
    """Whether the name is bound to a call of an app's class, or is a function that returns one.

    Extensions such as SQLAlchemy(app), parts of apps such as Blueprint, and views aren't.
    """
    if definition := module.definitions.get(name):
        if not isinstance(definition, ast.FunctionDef) or required_arguments(module, name):
            return False
        return _returns_app(module, definition)
    return name in module.values and _is_app_call(module, module.values[name][-1])


def made_by(module: python_module.Module, name: str) -> str | None:
    """The full name of the class or function whose call is bound to the name; None if it is bound to something else."""
    value = module.values[name][-1] if name in module.values else None
    return python_module.full_name(module, value.func) if isinstance(value, ast.Call) else None


def returned_calls(module: python_module.Module, name: str) -> list[str]:
    """The full names of what a function of the module calls for the values that it returns."""
    definition = module.definitions.get(name)
    values = python_module.returned(definition) if isinstance(definition, ast.FunctionDef) else []
    calls = [python_module.full_name(module, value.func) for value in values if isinstance(value, ast.Call)]
    return [call for call in calls if call]


def is_of_unknown_kind(module: python_module.Module, name: str) -> bool:
    """Whether the name is bound to a call of another package whose result isn't known, such as slack_bolt.App().

    A call that wraps another name of the module counts as what that is.
    """
    module, name = python_module.origin(module, name)
    made = made_by(module, name)
    if made is None or app_object.kind(module, name):
        return False
    imported = {full.partition(".")[0] for full in module.imports.values() if not full.startswith(".")}
    if made.partition(".")[0] not in imported:
        return False
    call = module.values[name][-1]
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)] if isinstance(call, ast.Call) else []
    used = {node.id for argument in arguments for node in ast.walk(argument) if isinstance(node, ast.Name)}
    return not any(other in ("app", "application") or app_object.kind(module, other) for other in used - {name})


def returns_tuple(module: python_module.Module, name: str) -> int | None:
    """The position of the app in the tuples that a factory returns; None if it returns something else."""
    module, name = python_module.origin(module, name)
    definition = module.definitions.get(name)
    values = python_module.returned(definition) if isinstance(definition, ast.FunctionDef) else []
    tuples = [value for value in values if isinstance(value, ast.Tuple)]
    if not tuples or len(tuples) != len(values):
        return None
    names = [element.id if isinstance(element, ast.Name) else "" for element in tuples[0].elts]
    return next((names.index(usual) for usual in ("app", "application") if usual in names), 0)


def is_async(module: python_module.Module, name: str) -> bool:
    """Whether the name is an async function. Another module of the app may define it."""
    module, name = python_module.origin(module, name)
    return isinstance(module.definitions.get(name), ast.AsyncFunctionDef)


def required_arguments(module: python_module.Module, name: str) -> list[str]:
    """The arguments that a call of a function must give. Another module of the app may define the function."""
    module, name = python_module.origin(module, name)
    definition = module.definitions.get(name)
    return signatures.required_arguments(definition) if isinstance(definition, ast.FunctionDef) else []


def servers_of_dash(module: python_module.Module) -> Iterator[str]:
    """The names that are bound to the ``server`` of a Dash object, or that a Dash object gets as its ``server``."""
    for name, values in module.values.items():
        if isinstance(value := values[-1], ast.Attribute) and value.attr == "server":
            yield name
        for keyword in value.keywords if isinstance(value, ast.Call) else []:
            if keyword.arg == "server" and isinstance(keyword.value, ast.Name):
                yield keyword.value.id


def _is_app_call(module: python_module.Module, value: ast.expr) -> bool:
    if isinstance(value, ast.Attribute):
        return value.attr == "server"
    called = python_module.full_name(module, value.func) if isinstance(value, ast.Call) else None
    return called is not None and (called in module.definitions or bool(_APP_CLASS.search(called)))


def _returns_app(module: python_module.Module, definition: ast.FunctionDef) -> bool:
    returned = [node.value for node in ast.walk(definition) if isinstance(node, ast.Return)]
    names = {value.id for value in returned if isinstance(value, ast.Name)}
    assigned = [
        node.value
        for node in ast.walk(definition)
        if isinstance(node, ast.Assign)
        and any(isinstance(part, ast.Name) and part.id in names for part in node.targets)
    ]
    return any(isinstance(value, ast.Call) and _is_app_call(module, value) for value in [*returned, *assigned])
