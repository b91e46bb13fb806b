"""What to change if uv finds no package, no version or no repository. Its own words name the package."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

# "Because shop was not found in the package registry and you require shop==1.0, we can conclude ..."
_ABSENT = re.compile(r"[Bb]ecause (?P<name>[\w.-]+) was not found in the package registry and you require (?P=name)\b")
_NO_VERSION = re.compile(r"there is no version of (?P<pin>[\w.-]+(?:==|===)\S+?) and you require", re.DOTALL)
_NO_KEY = re.compile(r"Host key verification failed|Permission denied \(publickey")
_NO_LOGIN = re.compile(r"could not read Username for '(?P<url>[^']+)'|Authentication failed for '(?P<other>[^']+)'")
_OWN_COPY = "or copy the package into the app's folder and name it there, such as ./lib"


def of_output(output: str) -> str:
    """The sentences for uv's output, one a line; empty if it shows none of these causes."""
    text = " ".join(output.split())
    makers: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
        (_ABSENT, _absent), (_NO_VERSION, _no_version), (_NO_KEY, _no_key), (_NO_LOGIN, _no_login)
    )  # fmt: skip
    return "\n".join(make(match) for pattern, make in makers if (match := pattern.search(text)))


def _absent(match: re.Match[str]) -> str:
    name = match["name"]
    if name.replace("-", "_") in sys.stdlib_module_names:
        return f"{name} is a part of Python and no package: take it out of the app's packages."
    return f"The package registry has no package {name}: correct its name in the app's packages, or take it out."


def _no_version(match: re.Match[str]) -> str:
    name = re.split("[=]", match["pin"])[0]
    return f"The package registry has no {match['pin']}: ask for a version that exists, or write {name} for the newest."


def _no_key(_: re.Match[str]) -> str:
    return f"A server has no SSH key for this git repository: write git+https:// in place of git+ssh://, {_OWN_COPY}."


def _no_login(match: re.Match[str]) -> str:
    url = re.sub(r"//[^/@\s]+@", "//", match["url"] or match["other"])
    return f"The git repository at {url} doesn't exist or is private: correct its address, {_OWN_COPY}."
