"""The files that say which packages an app needs, checked before anything is packed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from components.errors import UserError
from host import locks, requirement_list, requirements


class DependencyError(UserError):
    """A server can't install the app's packages; the text says why and what to do."""


def check(app: Path, contents: Mapping[str, bytes]) -> None:
    """Check that a server can install the packages of the app in the folder ``app``; raises DependencyError.

    ``contents`` has the app's files by name.
    """
    try:
        source = requirements.choose(contents.get)
        locks.check(contents.get, source)
    except ValueError as error:
        raise DependencyError(
            f"{app} can't be installed ({error}); files that .gitignore excludes don't count"
        ) from None
    if source == requirements.LIST and (mistakes := requirement_list.mistakes(contents.get)):
        raise DependencyError("; ".join(mistakes))
