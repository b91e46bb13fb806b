"""Explains modules that Python doesn't find."""

from __future__ import annotations

import re
from pathlib import Path

from host import explain_own_code, explain_servers
from host.packages import import_names, python_modules
from host.packages.adding import add_package

# The last lines before the error of an import whose module was named by a text, in the Procfile or in settings.
_BY_NAME = re.compile(
    r"importlib/__init__\.py\", line \d+, in import_module\n.*\n(?: +[~^]+\n)?(?: +File \"<frozen .*\n)*$"
)
# Folders below the app in which its own modules may lie.
_DEPTH = ("", "*/", "*/*/")


def missing_module(match: re.Match[str], app: Path | None) -> str:
    """The sentence for a module that Python doesn't find."""
    module = match["module"]
    if "/" in module:
        return f"A module has dots in its name, and no path: write {module.replace('/', '.')} into the Procfile."
    if module.endswith(".py"):
        return f"A module's name has no .py: write {module.removesuffix('.py')} into the Procfile."
    if module == "pip":
        return explain_servers.INSTALLED
    top = module.partition(".")[0]
    parent, _, name = module.rpartition(".")
    if app and parent and (app / f"{parent.replace('.', '/')}.py").is_file():
        return f"{parent} is a module, and {name} a name in it: write {parent}:{name} into the Procfile."
    folder = _folder_of(top, app)
    if folder is None and (sentence := _of_python(module, app)):
        return sentence
    if app and folder in (None, ".") and (sentence := _of_case(module, app)):
        return sentence
    if app and folder is None and (sentence := explain_own_code.of_own_folder(top, app)):
        return sentence
    package = import_names.package_of(module)
    add = add_package(package or "<package>", app)
    # `python -m` and servers take the name of a module from the Procfile, which may be mistaken.
    is_named = "runner" in match.re.groupindex or _BY_NAME.search(match.string[: match.start()])
    if folder is None and is_named:
        return (
            f"Neither the app nor its packages have a module {module}: correct the name in the Procfile or in the app's"
            f" settings; or, if it belongs to a package, {add}."
        )
    if folder is None:
        reason = f"The module {module} isn't installed"
        return f"{reason}: {add}." if package else f"{reason}, and its package has another name: {add}."
    if folder == "." and module != top:
        return f"The app's {top} has no module {module}: correct the name, or check that .gitignore doesn't name it."
    if folder == "." and (change := _change_to_home(app)):
        return (
            f"The module {top} is in the app's folder: take `{change}` out of the Procfile, which leaves that folder."
        )
    option = f"write `--chdir {folder}` into Gunicorn's command in the Procfile, or " if folder != "." else ""
    place = "the app's folder" if folder == "." else f"{folder}/"
    return (
        f"The module {top} is in {place}, where Python doesn't look: {option}run:"
        f" pulumi config set --path env.PYTHONPATH {folder}"
    )


def _of_case(module: str, app: Path) -> str:
    """The sentence for a module of the app whose name has other capitals in its file; or ""."""
    folder = app
    for part in module.split("."):
        names = {path.name.removesuffix(".py") for path in folder.iterdir()} if folder.is_dir() else set[str]()
        if part not in names:
            similar = sorted(name for name in names if name.lower() == part.lower())
            if not similar:
                return ""
            return (
                f"The app has {similar[0]}, and Linux tells capitals from small letters: write {similar[0]} in place of"
                f" {part} in the import or the command, or rename the file."
            )
        folder = folder / part
    return ""


def _change_to_home(app: Path | None) -> str:
    """The command of the Procfile that changes to $HOME, which is the app's folder on Heroku; or ""."""
    procfile = app / "Procfile" if app else None
    text = procfile.read_text(errors="replace") if procfile and procfile.is_file() else ""
    match = re.search(r"\bcd +[\"']?(?:~|\$HOME|\$\{HOME\})/?[\"']?(?= *(?:&&|;))", text)
    return match[0] if match else ""


def _of_python(module: str, app: Path | None) -> str:
    """The sentence for a module of Python's own library; or ""."""

    def read(name: str) -> bytes | None:
        return (app / name).read_bytes() if app and (app / name).is_file() else None

    return python_modules.remedy(module, read, lambda package: add_package(package, app))


def _folder_of(name: str, app: Path | None) -> str | None:
    """The folder of the app's module with that name, relative to the app; None if the app has no such module."""
    if app is None:
        return None
    for depth in _DEPTH:
        for path in sorted([*app.glob(f"{depth}{name}.py"), *app.glob(f"{depth}{name}/*.py")]):
            # The app's own folder may have the module's name, too.
            relative = path.relative_to(app)
            is_module = relative.name == f"{name}.py" and relative.parent.name != name
            return str(relative.parent if is_module else relative.parent.parent)
    return None
