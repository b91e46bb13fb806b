"""What an app's author does to add a package."""

from __future__ import annotations

import re
from pathlib import Path

# The command that adds a package, by the lock file that the app has.
_ADD = {
    "uv.lock": "uv add {}",
    "poetry.lock": "poetry add {}",
    "pdm.lock": "pdm add {}",
    "Pipfile.lock": "pipenv install {}",
}


def add_package(package: str, app: Path | None) -> str:
    """What to do to install a package: the command of the app's lock file, or the file to write it to."""
    for lock, command in _ADD.items():
        if app and (app / lock).is_file():
            return f"run `{command.format(_quoted(package))}` and commit {lock}"
    is_project = app and not (app / "requirements.txt").is_file() and (app / "pyproject.toml").is_file()
    return f"add {package} to {'dependencies in pyproject.toml' if is_project else 'requirements.txt'}"


def _quoted(package: str) -> str:
    return package if re.fullmatch(r"[\w.-]+", package) else f"'{package}'"
