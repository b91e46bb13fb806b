"""The names of a Python module of the app, and what they are bound to, by its source. Nothing is imported."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from components.app import python_source

# How many imports are followed from one module to the next.
MAX_IMPORTS = 8
# How many `from module import *` are followed from one module to the next. Two modules may import each other.
_MAX_STARS = 3
# Names with which a module may bind others that its source doesn't show.
_DYNAMIC = ("globals", "exec", "setattr", "vars", "locals")


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
    # Modules from which all names are imported.
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
            bind(module, [statement])
        except RecursionError:
            module.unreadable = module.unreadable or f"line {statement.lineno}: it is nested too deeply"
    if stars < _MAX_STARS:
        module.imports |= _imports_of_stars(module, stars)
    return module


def may_have(module: Module, name: str) -> bool:
    """Whether an import of the module may bind a name, also by other means than ``bind`` follows."""
    if name in module.names() or module.stars or module.unreadable:
        return True
    # Each node with whether it is in a function, which binds only names that it declares as global.
    waiting: list[tuple[ast.AST, bool]] = [
        (node, False) for node in python_source.parse(module.path.read_bytes()).statements
    ]
    while waiting:
        node, is_inside = waiting.pop()
        if isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
            waiting += [(child, is_inside) for child in node.orelse]
            continue
        if isinstance(node, ast.Name) and (
            node.id in _DYNAMIC or (node.id == name and isinstance(node.ctx, ast.Store) and not is_inside)
        ):
            return True
        if isinstance(node, ast.Global) and name in node.names:
            return True
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef)
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__" and not is_inside:
            return True
        waiting += [(child, is_inside or is_function) for child in ast.iter_child_nodes(node)]
    return False


def _imports_of_stars(module: Module, stars: int) -> dict[str, str]:
    """The full names by name of what `from other import *` imports. Names that two such imports have are left out."""
    found = [(name, other) for other in dict.fromkeys(module.stars) for name in _public(module, other, stars)]
    count, own = Counter(name for name, _ in found), module.names()
    return {name: f"{other}.{name}" for name, other in found if name not in own and count[name] == 1}


def _public(module: Module, imported: str, stars: int) -> set[str]:
    """The names that `from imported import *` imports, if ``imported`` is a module of the app."""
    other, attribute = locate(module, imported, stars + 1) if imported.strip(".") else (None, "")
    if other is None or attribute:
        return set()
    listed = other.values.get("__all__", [])
    if len(listed) == 1 and isinstance(listed[0], ast.List | ast.Tuple):
        return {item.value for item in listed[0].elts if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    return {name for name in other.names() if not name.startswith("_")}


def origin(module: Module, name: str, depth: int = 0) -> tuple[Module, str]:
    """The module of the app that defines a name, which ``module`` may import, and the name there."""
    if name in module.imports and depth <= MAX_IMPORTS:
        other, attribute = locate(module, module.imports[name])
        if other and attribute:
            return origin(other, attribute, depth + 1)
    return module, name


def locate(module: Module, full_name: str, stars: int = 0) -> tuple[Module | None, str]:
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


def full_name(module: Module, expression: ast.expr) -> str | None:
    """The dotted name of an expression, with imported names replaced by what they stand for."""
    attributes: list[str] = []
    while isinstance(expression, ast.Attribute):
        attributes.append(expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        return None
    return ".".join([module.imports.get(expression.id, expression.id), *reversed(attributes)])


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


def bind(module: Module, body: list[ast.stmt]) -> None:
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
                bind(module, getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                bind(module, handler.body)


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
