"""Explains that a web server doesn't find its app in a module, and proposes another name of that module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from host.signatures import required_arguments

# Patterns for the folders of the app in which its modules may lie.
_FOLDERS = ("", "*/", "*/*/")
# The usual names of apps and factories, the most likely one first.
_APPS, _FACTORIES = ("app", "application", "api", "server", "wsgi", "asgi"), ("create_app", "make_app", "get_app")
_COMMANDS = {"gunicorn": "gunicorn {}", "uvicorn": "uvicorn --uds $GANTRY_SOCKET {}"}


def missing(match: re.Match[str], app: Path | None) -> str:
    """The sentence for a module without the attribute that Gunicorn or uvicorn looks for."""
    module, attribute = match["module"], match["attribute"]
    server = "gunicorn" if match[0].startswith("Failed") else "uvicorn"
    found = next(_candidates(module, app), "") if app else ""
    if found:
        return f"The module {module} has no {attribute}, but {found}: write {_line(server, module, found)}."
    # The module has no usual name, or isn't found. Only the missing name is known to be wrong.
    usual = ("application", "app") if server == "gunicorn" else _APPS
    other = next(name for name in usual if name != attribute)
    factory = next(name for name in _FACTORIES if name != attribute)
    return (
        f"The module {module} has no {attribute}: name its app in the Procfile, such as"
        f" {_line(server, module, other)}, or a factory: {_line(server, module, f'{factory}()')}."
    )


def _line(server: str, module: str, name: str) -> str:
    """The line of a Procfile with which the server finds the app."""
    factory = name.removesuffix("()")
    if factory == name:
        return f"`web: {_COMMANDS[server].format(f'{module}:{name}')}`"
    # uvicorn calls a factory only if an option says so.
    target = f"--factory {module}:{factory}" if server == "uvicorn" else f"'{module}:{name}'"
    return f"`web: {_COMMANDS[server].format(target)}`"


def _file_of(module: str, app: Path) -> Path | None:
    """The file of a module of the app."""
    if not re.fullmatch(r"\w+(?:\.\w+)*", module):
        return None
    path = module.replace(".", "/")
    patterns = (f"{folder}{path}{end}" for folder in _FOLDERS for end in (".py", "/__init__.py"))
    return next((file for pattern in patterns for file in sorted(app.glob(pattern))), None)


def _candidates(module: str, app: Path) -> Iterator[str]:
    """The usual names that the module binds. Those of factories have parentheses."""
    path = _file_of(module, app)
    if path is None:
        return
    try:
        statements = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    functions = {node.name: node for node in statements if isinstance(node, ast.FunctionDef)}
    names = {*functions, *_bound(statements)}
    yield from (name for name in _APPS if name in names)
    uncallable = {name for name, function in functions.items() if required_arguments(function)}
    yield from (f"{name}()" for name in _FACTORIES if name in names - uncallable)


def _bound(statements: list[ast.stmt]) -> Iterator[str]:
    """The names that the statements of a module assign or import from elsewhere."""
    for node in statements:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom):
            # An imported api, server or wsgi is more often a module than an app.
            imported = (alias.asname or alias.name for alias in node.names)
            yield from (name for name in imported if name in (*_APPS[:2], *_FACTORIES))
        elif isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
            # These names exist only in a program, and a server imports the module.
            continue
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _bound(node.body)
