"""The setting ``aptPackages``: Debian packages that the app needs on its servers."""

from __future__ import annotations

from typing import cast

from components.settings.declaration import Structured
from host.packages import aptfile


def apt_packages() -> Structured[tuple[str, ...]]:
    return Structured(type="array", rule="a list of names of Debian packages", read=_read_names)


def _read_names(value: object) -> tuple[tuple[str, ...], list[str]]:
    if not isinstance(value, list):
        return (), ["aptPackages must be a list; set it with: pulumi config set --path 'aptPackages[0]' <package>"]
    names, mistakes = list[str](), list[str]()
    for index, item in enumerate(cast(list[object], value)):
        if isinstance(item, str) and aptfile.is_package(item):
            names.append(item)
        else:
            mistakes.append(
                f"aptPackages[{index}] is {item!r}, but must be {aptfile.RULE};"
                f" set it with: pulumi config set --path 'aptPackages[{index}]' <package>"
            )
    return tuple(names), mistakes
