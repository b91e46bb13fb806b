"""The files that say which packages an app needs, checked before anything is packed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from components.errors import UserError
from host import aptfile, locks, python_versions, requirement_list, requirements, versions

# The Python of Debian 13, which servers have. Only contradictions between the app's files are found here: a server can
# download other versions.
SERVER_PYTHON = "3.13.5"
# Older versions of Gunicorn can't be imported by this Python.
_OLDEST_GUNICORN = "20"
_GUNICORN_PIN = re.compile(r"^\s*gunicorn(?:\[[^\]]*\])?\s*==\s*([\w.]+)", re.IGNORECASE | re.MULTILINE)


class DependencyError(UserError):
    """A server can't install the app's packages; the text says why and what to do."""


def check(app: Path, contents: Mapping[str, bytes]) -> None:
    """Check that a server can install the packages of the app in the folder ``app``; raises DependencyError.

    ``contents`` has the app's files by name.
    """
    try:
        source = requirements.choose(contents.get)
        locks.check(contents.get, source)
        python = python_versions.choose(contents.get, SERVER_PYTHON)
    except ValueError as error:
        raise DependencyError(
            f"{app} can't be installed ({error}); files that .gitignore excludes don't count"
        ) from None
    try:
        aptfile.packages(contents.get(aptfile.NAME, b""))
    except ValueError as error:
        raise DependencyError(str(error)) from None
    if not python.version:
        _check_gunicorn(contents, source)
    if source == requirements.LIST and (mistakes := requirement_list.mistakes(contents.get)):
        raise DependencyError("; ".join(mistakes))


def _check_gunicorn(contents: Mapping[str, bytes], source: str) -> None:
    """Refuse a Gunicorn that can't run with the server's Python."""
    if source == requirements.LIST:
        match = _GUNICORN_PIN.search(requirement_list.decode(contents[source]))
        pinned = match[1] if match else ""
    else:
        pinned = locks.version_of("gunicorn", contents.get, source)
    if versions.satisfies(f"<{_OLDEST_GUNICORN}", pinned):
        raise DependencyError(
            f"{source} has gunicorn=={pinned}, which doesn't run with the server's Python"
            f" {SERVER_PYTHON.rpartition('.')[0]}: take gunicorn out of the app's packages, because the server brings"
            " one that fits"
        )
