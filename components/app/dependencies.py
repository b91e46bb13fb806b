"""The files that say which packages an app needs, checked before anything is packed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from components.errors import UserError
from host import requirements

_OWN_CODE = re.compile(r"^\s*(?:-e\b|--editable\b|\.|/)|^[^#]*\bfile:")


class DependencyError(UserError):
    """A server can't install the app's packages; the text says why and what to do."""


def check(app: Path, contents: Mapping[str, bytes]) -> None:
    """Check that a server can install the packages of the app in the folder ``app``; raises DependencyError.

    ``contents`` has the app's files by name.
    """
    try:
        source = requirements.choose(contents.get)
    except ValueError as error:
        raise DependencyError(
            f"{app} can't be installed ({error}); files that .gitignore excludes don't count"
        ) from None
    if source == requirements.LIST:
        _check_list(contents[source].decode("utf-8-sig", errors="replace"))


def _check_list(text: str) -> None:
    for line in text.splitlines():
        if _OWN_CODE.match(line) and not line.split("#")[0].strip().endswith(".whl"):
            raise DependencyError(
                f"requirements.txt: {line.strip()!r} builds a package from the app's own folder, which is read-only"
                " on a server: leave it out (the app's folder is on Python's path), or add its wheel"
            )
