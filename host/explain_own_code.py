"""Explains imports of the app's own code that fail because of its folder, or because it isn't installed."""

from __future__ import annotations

import configparser
import re
import tomllib
from contextlib import suppress
from pathlib import Path

from host import own_folder, procfile, read_only
from host.packages.adding import add_package
from host.packages.locked import normalized
from host.packages.project_files import LOCK, PDM_LOCK, PIPFILE_LOCK, POETRY_LOCK, PYLOCK

# Locks of tools that install the project itself, which servers don't.
_WITHOUT_PROJECT = (LOCK, POETRY_LOCK, PDM_LOCK)


def of_own_folder(module: str, app: Path) -> str:
    """The sentence for a missing module that is the app's own folder; empty if it is another one."""
    files = own_folder.modules(app)
    command = _web(app)
    imports = own_folder.imports(module, files)
    named = own_folder.named_by(command, module, files)
    if named and not imports:
        without = own_folder.without_folder(command, module)
        return (
            f"The folder {module} is the app here, and no module in it: write `web: {without}` into the Procfile, or"
            " make the folder above it the app."
        )
    if not imports:
        return ""
    above = own_folder.from_above(command, module, files)
    line = f"the line `web: {above}`" if above else f"lines that name modules such as {module}.app"
    return (
        f"{imports[0].file} imports the app by the name of its own folder, {module}, but that folder is the app here:"
        " make the folder above it the app with `pulumi config set app <folder above>`, with a Procfile there that has"
        f" {line} and with the list of the packages; or take `{module}.` out of the imports."
    )


def of_relative_import(match: re.Match[str], app: Path | None) -> str:
    """The sentence for a relative import in a file outside of a package, or with too many dots for its package."""
    file = read_only.relative_to_app(match["path"])
    if file is None:
        return ""
    folder, _, name = file.removesuffix(".py").rpartition("/")
    statement = " ".join(match["statement"].split())
    dots, module, names = match["dots"], match["module"], " ".join(match["names"].split())
    reason = f"`{statement}` works only in a package, and {file} isn't imported as a part of one"
    if folder and "beyond" not in match["reason"]:
        name = f"{folder.replace('/', '.')}.{name}"
        return (
            f"{reason}: name it with its folder in the Procfile, such as `gunicorn {name}:app` or `python -m {name}`."
        )
    if "beyond" in match["reason"]:
        reason = f"`{statement}` in {file} leaves the app's folder, from which Python imports"
    # The import means the app's own folder.
    is_own = len(dots) == len([part for part in folder.split("/") if part]) + 1
    above = ".".join(filter(None, ("<folder>", *folder.split("/"), name)))
    absolute = f"from {module} import {names}" if module else f"import {names}"
    return (
        f"{reason}: {f'write `{absolute}`' if is_own else 'write it without the dots'}, or make the folder above it the"
        f" app, with a Procfile with a line such as `web: gunicorn {above}:app`."
    )


def missing_metadata(match: re.Match[str], app: Path | None) -> str:
    """The sentence for a package of which `importlib.metadata` knows nothing. It may be the app itself."""
    package = match["package"]
    if app is None or normalized(package) not in _own_names(app):
        return f"The package {package} isn't installed: {add_package(package, app)}."
    reason = f"{package} is the app itself, which isn't among the installed packages"
    lock = next((name for name in _WITHOUT_PROJECT if (app / name).is_file()), "")
    fallback = (
        'catch PackageNotFoundError there, and take another value, such as `__version__ = "0"`, or write the version'
        " into the code"
    )
    if lock:
        return f"{reason}, because servers install only the packages that {lock} lists besides it: {fallback}."
    if (app / PIPFILE_LOCK).is_file():
        return f"{reason}: run `pipenv install -e .` and commit {PIPFILE_LOCK}; or {fallback}."
    if (app / PYLOCK).is_file():
        return f"{reason}: write {PYLOCK} with the project itself, as `uv export` does; or {fallback}."
    if (app / "requirements.txt").is_file():
        return f"{reason}: add the line `.` to requirements.txt, which installs it; or {fallback}."
    return (
        f"{reason}: add a requirements.txt with the line `.`, which installs it with its dependencies; or {fallback}."
    )


def _own_names(app: Path) -> set[str]:
    """The names that the app's own files give to the app as a package."""
    names = set[object]()
    with suppress(OSError, ValueError, AttributeError, RecursionError):
        document = tomllib.loads((app / "pyproject.toml").read_text("utf-8-sig"))
        names.add(document.get("project", {}).get("name"))
        names.add(document.get("tool", {}).get("poetry", {}).get("name"))
    with suppress(OSError, ValueError, configparser.Error):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string((app / "setup.cfg").read_text())
        names.add(parser.get("metadata", "name", fallback=None))
    with suppress(OSError, ValueError):
        match = re.search(r"\bname\s*=\s*['\"]([\w.-]+)['\"]", (app / "setup.py").read_text())
        names.add(match[1] if match else None)
    return {normalized(name) for name in names if isinstance(name, str)}


def _web(app: Path) -> str:
    """The web command of the app; empty if its Procfile can't be read."""
    with suppress(OSError, ValueError):
        return procfile.read(app).get("web", "")
    return ""
