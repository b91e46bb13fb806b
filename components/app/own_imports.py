"""Imports of the app's own code that fail on every server, because the app's own folder is no package there."""

from __future__ import annotations

import ast
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from components.app import git, installed_packages, python_source
from components.app.scripts import without_wrappers
from components.app.shell_words import simple_commands
from components.errors import UserError
from host import own_folder, procfile
from host.packages import import_names, requirement_list, requirements
from host.packages.locked import normalized

_TARGET = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.\w+)*)(?P<app>:[\w.]+(?:\(.*\))?)?")
# Options before the name of a module.
_BEFORE_MODULES = ("-m", "-A", "--app")
# Commands and options that change the folder of imports, and lines that build the app as a package.
_ELSEWHERE = re.compile(r"\b(?:cd|pushd)\b|--chdir|--pythonpath|--app-dir|--directory|PYTHONPATH")
_ITSELF = re.compile(r"\s*(?:(?:-e|--editable)[ =]?\s*)?(?:[\w.\[\],-]+\s*@\s*)?(?:file:)?\.(?:/|\[|\s|;|$)")
# Commands that import a file as a part of the package in whose folder it is.
_IN_PACKAGE = re.compile(r"\b(?:flask|fastapi)\s")


class OwnImportError(UserError):
    """The app can't be imported on a server; the text says why and what to write."""


@dataclass(frozen=True)
class _App:
    """The app's folder with its files by name, and the command that serves it."""

    folder: Path
    contents: Mapping[str, bytes]
    web: str


def check(app: Path, contents: Mapping[str, bytes]) -> None:
    """Raise OwnImportError if the module that serves imports the app by its folder's name, or relative to its folder.

    ``contents`` are the files of the app in the folder ``app`` by name, with a valid Procfile. Only imports that run
    whenever their file is imported count. An app whose web command changes the folder of imports isn't checked.
    """
    commands = procfile.processes(procfile.decode(contents["Procfile"]))
    this = _App(app, contents, commands["web"])
    if _ELSEWHERE.search(this.web):
        return
    served = list(_served(this))
    if served and (sentence := _relative(this, served)):
        raise OwnImportError(sentence)
    # A build may make a link with the folder's name.
    if "build" not in commands and not _is_installed(this) and (sentence := _of_own_folder(this, served)):
        raise OwnImportError(sentence)


def _is_installed(app: _App) -> bool:
    """Whether Python or a package has a module with the name of the app's folder, such as redis."""
    name, read = app.folder.name, app.contents.get
    if name in sys.stdlib_module_names:
        return True
    if requirements.choose(read) == requirements.LIST:
        lines = requirement_list.installing_lines(requirement_list.read_list(read))
        if any(map(_ITSELF.match, lines)):
            return True
    packages = installed_packages.find(app.contents)
    return any(normalized(package) in packages for package in (name, import_names.package_of(name) or name))


def _served(app: _App) -> Iterator[str]:
    """The files that the web command names: modules such as shop.main:app, and scripts."""
    for simple in simple_commands(app.web):
        words = without_wrappers(simple.words)
        for before, word in pairwise(["", *words]):
            match = _TARGET.fullmatch(word)
            if (script := word.removeprefix("./")).endswith(".py") and script in app.contents:
                yield script
            elif match and (match["app"] or "." in word or before in _BEFORE_MODULES or words == ["gunicorn", word]):
                file = own_folder.file_of(match["module"], app.contents)
                if file in app.contents:
                    yield str(file)


def _relative(app: _App, served: list[str]) -> str:
    """A sentence for a relative import in a served file of the app's own folder, which is no package there."""
    is_package = "__init__.py" in app.contents and _IN_PACKAGE.search(app.web)
    for file in served:
        if is_package and "/" not in file:
            continue
        is_script = re.search(rf"\bpython[\d.]*\s(?:\./)?{re.escape(file)}(?:\s|$)", app.web) is not None
        for node in _statements(app, file):
            if not (isinstance(node, ast.ImportFrom) and node.level and (is_script or "/" not in file)):
                continue
            module, names = node.module or "", ", ".join(alias.name for alias in node.names)
            written = f"from {'.' * node.level}{module} import {names}"
            place = f"{app.folder / file}, line {node.lineno}: `{written}` works only in a package, and"
            if "/" in file:
                dotted = file.removesuffix(".py").replace("/", ".")
                return f"{place} python runs {file} as a file of its own: write `python -m {dotted}` into the Procfile"
            absolute = f"from {module} import {names}" if module else f"import {names}"
            return f"{place} a server imports {file} from the app's folder itself: write `{absolute}`, or {_above(app)}"
    return ""


def _of_own_folder(app: _App, served: list[str]) -> str:
    """A sentence for an import by the name of the app's own folder, in a served file or one that it imports."""
    name = app.folder.name
    # A link, a module or a package of that name may be found with another path of imports, such as src or vendor.
    others = re.compile(rf"(?:^|/){re.escape(name)}(?:/.*\.py|-.*\.whl|(?:\.[\w-]+)*\.(?:py|so|zip))?$")
    if not name.isidentifier() or any(map(others.search, app.contents)):
        return ""
    named = own_folder.named_by(app.web, name, app.contents)
    file = own_folder.file_of(named.removeprefix(f"{name}."), app.contents) or "" if named else ""
    loaded = set(_loaded(app, served or ([file] if file in app.contents else [])))
    # Most apps don't have the name in these files, and the others needn't be read.
    is_named = any(own_folder.may_name(name, app.contents[file]) for file in loaded)
    if any(b"sys.modules" in app.contents[file] for file in loaded):
        return ""
    imports = own_folder.imports(name, app.contents) if is_named else []
    for one in imports:
        if one.is_certain and one.file in loaded:
            module = ".".join(filter(None, (name, one.module)))
            return (
                f"{app.folder / one.file}, line {one.line}: it imports {module}, but {name} is the app's own folder,"
                f" which has another name on a server: {_above(app)}, or take `{name}.` out of the imports"
            )
    if named and not imports:
        return (
            f"Procfile: the web line names {named}, but {name} is the app's own folder, and no module in it: write"
            f" 'web: {own_folder.without_folder(app.web, name)}'"
        )
    return ""


def command_above(folder: str, contents: Mapping[str, bytes], command: str) -> str:
    """The command from above the ``folder`` of an app that imports itself by the folder's name; empty for others.

    ``contents`` are the files in that folder, and ``command`` serves the app from there.
    """
    parent, _, name = folder.rpartition("/")
    imports = [] if _ELSEWHERE.search(command) else own_folder.imports(name, contents)
    # A module has no modules below it, so the imports of app.models in app/app.py mean the folder.
    if own_folder.file_of(name, contents) not in (None, f"{name}.py") or not any(one.module for one in imports):
        return ""
    above = own_folder.from_above(command, name, contents)
    return f"PYTHONPATH={shlex.quote(parent)} {above}" if parent and above else above


def remedy_of_package(app: Path, contents: Mapping[str, bytes], command: str) -> str:
    """What to do for an app in the __init__.py of its own folder that imports the folder's modules; "" for others.

    ``command`` serves the app from the folder itself.
    """
    own = rb"(?m)^\s*(?:from\s+\.|(?:from|import)\s+%s\b)" % re.escape(os.fsencode(app.name))
    if not app.name.isidentifier() or not re.search(own, contents["__init__.py"]):
        return ""
    return _above(_App(app, contents, command))


def list_above(folder: str, contents: Mapping[str, bytes]) -> str:
    """Names the list of packages if the folder above becomes the app; ``contents`` are the files in the ``folder``."""
    names = [name for name in requirements.NAMES if name in contents]
    if requirements.LIST in names:
        return f"a {requirements.LIST} with the line `-r {folder}/{requirements.LIST}`"
    return " and ".join(names)


def _above(app: _App) -> str:
    """What to do so that the folder above becomes the app."""
    name, parent = app.folder.name, app.folder.parent
    line = own_folder.from_above(app.web, name, app.contents) or f"gunicorn {name}.app:app"
    line = line.replace(".__init__:", ":")
    packages = list_above(name, app.contents)
    top = git.top_of(app.folder)
    if top == app.folder:
        # The folder above belongs to no repository.
        return f"move the app's modules into a folder {name} of the app, and write 'web: {line}' into the Procfile"
    setting = f"`pulumi config set app {shlex.quote(str(parent))}`"
    return (
        f"make the folder above it the app with {setting}, with {packages} and a Procfile with the line 'web: {line}'"
        " there"
    )


def _loaded(app: _App, served: list[str]) -> Iterator[str]:
    """The served files and all files of the app that they import for certain."""
    waiting, seen = [*served], {*served}
    while waiting:
        file = waiting.pop()
        yield file
        for module in _imported(app, file):
            found = own_folder.file_of(module, app.contents)
            if found in app.contents and found not in seen:
                seen.add(str(found))
                waiting.append(str(found))


def _imported(app: _App, file: str) -> Iterator[str]:
    """The modules that a file of the app imports for certain, and what may be modules in them."""
    package = file.removesuffix(".py").split("/")[:-1]
    for node in _statements(app, file):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}".lstrip(".") for alias in node.names)


def _statements(app: _App, file: str) -> list[ast.stmt]:
    """The statements of a file that run whenever it is imported."""
    return python_source.parse(app.contents[file]).statements
