"""Apps that import themselves by the name of their own folder, such as `from backend.models import db` in backend.

That works where the folder above is on Python's path. On a server the folder is the app, and has another name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# Folders whose files aren't modules of the app.
_OTHERS = (".", "node_modules", "venv", "__pycache__")
_TESTS = re.compile(r"(?:^|/)(?:tests?|conftest\.py|test_[^/]*)(?:/|$)")
# The name of a module, with or without that of an app in it.
_TARGET = re.compile(r"(?<![\w./:=-])(?P<module>[A-Za-z_]\w*(?:\.\w+)*)(?=(?P<app>:\w+)?(?:[\s'\"()]|$))")
_SCRIPT = re.compile(r"\bpython3? (?P<path>[\w/]+)\.py\b")


@dataclass(frozen=True)
class Import:
    """An import of a module below the folder's name, such as models, and of names in it.

    A text such as "shop.settings" counts as one, without names. If an import ``is_certain``, it runs whenever the file
    is imported.
    """

    file: str
    line: int
    module: str
    names: tuple[str, ...] = ()
    is_certain: bool = False


def modules(app: Path) -> dict[str, bytes]:
    """The Python files of the app by name, without those of tools."""
    names = (path.relative_to(app) for path in app.rglob("*.py") if path.is_file())
    return {
        name.as_posix(): (app / name).read_bytes()
        for name in names
        if not any(part.startswith(_OTHERS) for part in name.parts)
    }


def imports(folder: str, files: Mapping[str, bytes]) -> list[Import]:
    """The imports with which the app imports itself by the name of its ``folder``.

    ``files`` are the app's files by name. Empty if they lack an imported module or name: the imports then mean a
    package that has the folder's name.
    """
    found = [
        one
        for name in sorted(files)
        if name.endswith(".py") and not _TESTS.search(name) and may_name(folder, files[name])
        for one in _in_file(folder, name, files[name])
    ]
    texts = [one for one in found if not one.names and not one.is_certain]
    others = [one for one in found if one not in texts]
    if not all(_is_there(one, files) for one in others):
        return []
    return [*others, *(one for one in texts if _is_there(one, files))]


def may_name(folder: str, source: bytes) -> bool:
    """Whether a module may import from a folder, or name a module below it in a text. Most needn't be read for that."""
    name = re.escape(folder.encode())
    return re.search(rb"\b(?:from|import)\b[^\n#]*\b%s\b|['\"]%s\." % (name, name), source) is not None


def _in_file(folder: str, name: str, source: bytes) -> Iterator[Import]:
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    top, text = set(module.body), re.compile(rf"{re.escape(folder)}(?:\.\w+)+")
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and not node.level and _is_below(folder, node.module or ""):
            names = tuple(alias.name for alias in node.names)
            yield Import(name, node.lineno, _below(folder, node.module or ""), names=names, is_certain=node in top)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(f"{folder}."):
                    yield Import(name, node.lineno, _below(folder, alias.name), is_certain=node in top)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and text.fullmatch(node.value):
            # Such as "shop.settings" of Django.
            yield Import(name, node.lineno, _below(folder, node.value))


def _is_below(folder: str, module: str) -> bool:
    return module == folder or module.startswith(f"{folder}.")


def _below(folder: str, module: str) -> str:
    return module[len(folder) + 1 :]


def _is_there(one: Import, files: Mapping[str, bytes]) -> bool:
    file = file_of(one.module, files) if one.module else "__init__.py"
    if file is None:
        return False
    text = files.get(file, b"")
    below = f"{one.module}." if one.module else ""
    return all(
        name == "*"
        or file_of(below + name, files) is not None
        or re.search(rb"\b%s\b" % re.escape(name.encode()), text)
        for name in one.names
    )


def file_of(module: str, files: Mapping[str, bytes]) -> str | None:
    """The file of a module in the app's folder; None if the app lacks it.

    For a package this is its __init__.py, even if the package has none.
    """
    path = module.replace(".", "/")
    # In Python's order.
    for file in (f"{path}/__init__.py", f"{path}.py"):
        if file in files:
            return file
    is_folder = any(name.startswith(f"{path}/") and name.endswith(".py") for name in files)
    return f"{path}/__init__.py" if is_folder else None


def named_by(command: str, folder: str, files: Mapping[str, bytes]) -> str:
    """The module that a command names below the folder's name, such as backend.app; empty if it names none."""
    modules = [match["module"] for match in _TARGET.finditer(command)]
    below = (module for module in modules if module.startswith(f"{folder}."))
    return next((module for module in below if file_of(_below(folder, module), files)), "")


def without_folder(command: str, folder: str) -> str:
    """The command for the folder itself, without the folder's name in front of modules."""
    return re.sub(rf"(?<![\w./:=-]){re.escape(folder)}\.(?=\w)", "", command)


def from_above(command: str, folder: str, files: Mapping[str, bytes]) -> str:
    """The command for the folder above, with the folder's name in front of modules; empty if it names none."""

    def with_folder(match: re.Match[str]) -> str:
        module = match["module"]
        is_module = match["app"] or "." in module or not command[match.end() :].strip("'\"() ")
        return f"{folder}.{module}" if is_module and file_of(module, files) else module

    if named_by(command, folder, files):
        return command
    if re.search(r"--chdir|--pythonpath|--app-dir|\bcd\b", command):
        return ""
    changed = _SCRIPT.sub(
        lambda match: (
            f"python -m {folder}.{match['path'].replace('/', '.')}" if f"{match['path']}.py" in files else match[0]
        ),
        command,
    )
    changed = changed if changed != command else _TARGET.sub(with_folder, command)
    return changed if changed != command else ""
