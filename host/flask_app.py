"""The app that FLASK_APP or the option --app of flask names, and how Gunicorn names it.

https://flask.palletsprojects.com/en/stable/cli/#application-discovery
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from host import dotenv, own_folder

NAME = "FLASK_APP"
# In the order of Flask: a variable of the first one wins.
FILES = (".env", ".flaskenv")
# In a command: FLASK_APP=hello flask run, flask --app hello run, flask -A hello run.
_IN_COMMAND = re.compile(rf"(?:\b{NAME}=|\bflask\b[^;&|]*?\s(?:--app[= ]|-A ?))(?P<word>\"[^\"]*\"|'[^']*'|[^\s;&|]+)")
# A colon of a path of Windows separates nothing.
_SEPARATOR = re.compile(r":(?![\\/])")
_APPS, _FACTORIES = ("app", "application"), ("create_app", "make_app")


@dataclass(frozen=True)
class FlaskApp:
    """A module and its file, the folder of its imports (empty or with a slash), and the app's name or call, or ""."""

    file: str
    root: str
    module: str
    name: str


def of_files(contents: Mapping[str, bytes], name: str = NAME) -> tuple[str, str]:
    """The value of FLASK_APP, or of another variable, in the app's files, and the file that has it; or empty texts."""
    for file in FILES:
        if file in contents and (value := dotenv.read(contents[file]).get(name)):
            return value, file
    return "", ""


def of_command(command: str) -> str:
    """The value of FLASK_APP or --app in a command; empty if it has none."""
    match = _IN_COMMAND.search(command)
    return match["word"].strip("\"'") if match else ""


def find(value: str, contents: Mapping[str, bytes]) -> FlaskApp | None:
    """The app that a value such as hello, src/hello.py or shop:create_app('dev') names; None without its file."""
    path, *names = _SEPARATOR.split(value.strip(), maxsplit=1)
    *folders, last = [part for part in path.strip().removesuffix("/").split("/") if part not in ("", ".")] or [""]
    module = last.removesuffix(".py")
    if module == "__init__" and folders:
        module = folders.pop()
    # A folder with an __init__.py is a package, and the imports begin above it.
    while folders and "/".join([*folders, "__init__.py"]) in contents:
        module = f"{folders.pop()}.{module}"
    for root in ("".join(f"{folder}/" for folder in folders), "src/"):
        file = own_folder.file_of(root.replace("/", ".") + module, contents)
        if module and file in contents:
            return FlaskApp(file=str(file), root=root, module=module, name=names[0].strip() if names else "")
    return None


def gunicorn_command(value: str, contents: Mapping[str, bytes]) -> str:
    """The command with which Gunicorn serves the app that a value names; empty if its file isn't there."""
    app = find(value, contents)
    if app is None:
        return ""
    name = app.name or _usual_name(contents[app.file])
    if name in _functions(contents[app.file]):
        name = f"{name}()"
    target = f"{app.module}:{name}"
    prefix = f"PYTHONPATH={app.root.rstrip('/')} " if app.root else ""
    if not re.fullmatch(r"[\w.:]+", target):
        quote = '"' if "'" in target else "'"
        target = f"{quote}{target}{quote}"
    return f"{prefix}gunicorn {target}"


def _usual_name(source: bytes) -> str:
    """The usual name that a module has for its app or factory; app if it shows none."""
    text = source.decode(errors="replace")
    names = (name for name in _APPS if re.search(rf"(?m)^{name}\s*[:=]|import .*\b{name}\b", text))
    return next(names, next((name for name in _FACTORIES if name in _functions(source)), "app"))


def _functions(source: bytes) -> set[str]:
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {node.name for node in statements if isinstance(node, ast.FunctionDef)}
