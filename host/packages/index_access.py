"""The app's variables that uv gets: where packages come from, and the logins there.

uv gets no other variable of the app, so that the builds of packages can't read them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from host.errors import ReleaseError
from host.packages import poetry_lock
from host.packages.project_files import load
from host.packages.requirements import POETRY_LOCK, Read, project, shown

# https://docs.astral.sh/uv/reference/environment/
_UV = re.compile(
    "UV_(DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|INDEX|INDEX_STRATEGY|INDEX_URL|INSECURE_HOST"
    "|INDEX_.+_(USERNAME|PASSWORD))"
)
# pip's variables, which uv doesn't read: https://pip.pypa.io/en/stable/topics/configuration/#environment-variables
_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
}
_POETRY = "POETRY_HTTP_BASIC_"
# The only form of a variable that pip and uv replace in lists of packages.
_NAMED = re.compile(r"\$\{([A-Z0-9_]+)\}")
_COMMENT = re.compile(r"(?:^|\s)#.*")
# uv, git and ssh obey variables with these names, and some name a program to run. Names of logins are free.
_OBEYED = re.compile(
    r"(?:GIT|SSH|SSL|UV|LD|XDG)_.*|(?:PYTHON|PERL5).*|(?:HTTPS?|ALL)_PROXY|PATH|HOME|SHELL|ENV|BASH_ENV|IFS|TMPDIR"
)
_LOGIN = re.compile(r".+_(?:TOKEN|USER|USERNAME|LOGIN|PASS|PASSWORD|PAT|KEY|SECRET)")


def for_uv(variables: Mapping[str, str], read: Read, source: str, *texts: str) -> dict[str, str]:
    """The variables for uv, by the names that uv gives them.

    ``variables`` are all of the app. ``source`` is the file that lists the packages. ``texts`` are the contents of the
    lists of packages that uv reads. Raises ReleaseError if one names a variable that uv, git or ssh would obey.
    """
    found = {_PIP[name]: value for name, value in variables.items() if name in _PIP}
    if "UV_FIND_LINKS" in found:
        # pip separates them by spaces, and uv by commas.
        found["UV_FIND_LINKS"] = ",".join(found["UV_FIND_LINKS"].split())
    found |= _logins_of_poetry(variables, read, source)
    found |= {name: value for name, value in variables.items() if _UV.fullmatch(name)}
    # uv replaces variables also in the addresses of a project's dependencies.
    named = _names(*map(str, project(read).get("dependencies", ())), *texts)
    for name in named:
        if _OBEYED.fullmatch(name) and not _LOGIN.fullmatch(name) and name in variables and name not in found:
            raise ReleaseError(
                f"{shown(source)} names ${{{name}}}, and programs that install packages obey a variable with this name:"
                " give it another name"
            )
    return found | {name: variables[name] for name in named if name in variables}


def unset(variables: Mapping[str, str], *texts: str) -> list[str]:
    """The variables that lists of packages name, and that aren't set."""
    return [name for name in _names(*texts) if name not in variables]


def _names(*texts: str) -> list[str]:
    lines = [line for text in texts for line in text.splitlines()]
    return sorted({name for line in lines for name in _NAMED.findall(_COMMENT.sub("", line))})


def _logins_of_poetry(variables: Mapping[str, str], read: Read, source: str) -> dict[str, str]:
    """The logins of Poetry's sources, as uv's variables; empty for another lock.

    Poetry's variables have only the name of a source. Its address is in the lock:
    https://python-poetry.org/docs/repositories/#configuring-credentials
    """
    # uv runs several times for one installation, and a long lock takes a second to read.
    if source != POETRY_LOCK or not any(name.startswith(_POETRY) for name in variables):
        return {}
    found, indexes = dict[str, str](), list[str]()
    for name, url in poetry_lock.sources(load(source, read(source) or b"")).items():
        key = re.sub(r"\W", "_", name).upper()
        logins = {part: variables.get(f"{_POETRY}{key}_{part}") for part in ("USERNAME", "PASSWORD")}
        uv_logins = {f"UV_INDEX_{key}_{part}": value for part, value in logins.items() if value is not None}
        if uv_logins:
            found |= uv_logins
            indexes.append(f"{re.sub(r'[^A-Za-z0-9_.-]', '-', name)}={url}")
    return found | ({"UV_INDEX": " ".join(indexes)} if indexes else {})
