"""The files that say which packages an app needs, checked before anything is packed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from components.errors import UserError
from host.packages import (
    aptfile,
    lock_digests,
    locks,
    markers,
    python_versions,
    requirement_list,
    requirement_mistakes,
    requirements,
    versions,
)
from host.packages.dependency import need_of
from host.packages.lock_graph import Need
from host.packages.locked import normalized

# The Python of Debian 13, which servers have. Only contradictions between the app's files are found here: a server can
# download other versions.
SERVER_PYTHON = "3.13.5"
_MINOR = SERVER_PYTHON.rpartition(".")[0]
_ENVIRONMENT = markers.known_on_a_server(SERVER_PYTHON)
# Older versions of Gunicorn can't be imported by this Python.
_OLDEST_GUNICORN = "20"
# Newer versions of Gunicorn, of which a constraint must allow one. The bounds of the constraint itself are tried, too.
_GUNICORNS = ("20.0", "20.0.4", "20.1.0", *(f"{major}.{minor}" for major in range(21, 100) for minor in (0, 1, 2)))
# Other names that lists of packages have, in the app's folder or the folders of it.
_OTHER_LIST = re.compile(
    r"(?:[\w.-]+/)?(?:[\w.-]*requirements?[\w.-]*|requirements/[\w.-]+)\.(?:txt|in|pip)", re.IGNORECASE
)
# PEP 751 allows names such as pylock.prod.toml. Servers read only pylock.toml.
_NAMED_PYLOCK = re.compile(r"pylock\.[^.]+\.toml")


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
            f"{app} can't be installed ({error}){_excluded(app, contents)}{_other_list(contents)}"
        ) from None
    try:
        aptfile.packages(contents.get(aptfile.NAME, b""))
    except ValueError as error:
        raise DependencyError(str(error)) from None
    if source == requirements.LIST and (mistakes := requirement_mistakes.mistakes(contents.get)):
        raise DependencyError("; ".join(mistakes))
    if not python.version:
        _check_gunicorn(contents, source)


def notes(contents: Mapping[str, bytes]) -> list[str]:
    """Sentences about the files that list packages, which ``check`` has accepted."""
    source = requirements.choose(contents.get)
    python = python_versions.choose(contents.get, SERVER_PYTHON)
    found = [lock_digests.note(contents.get, source), python_versions.download_warning(python)]
    if source == requirements.PROJECT and requirements.RYE_LOCK in contents:
        found.append(
            f"servers don't read {requirements.RYE_LOCK}, and install the newest packages that {source} allows: to"
            f" install the locked ones, run `cp {requirements.RYE_LOCK} {requirements.LIST}`, and commit that"
        )
    if unread := [name for name in requirements.UNREAD if name in contents and name != requirements.RYE_LOCK]:
        found.append(
            f"servers don't read {' and '.join(unread)}: what only conda or pixi installs isn't there, so add such"
            " libraries to the Aptfile"
        )
    if source != requirements.PYLOCK and (named := _named_pylock(contents)):
        found.append(f"servers don't read {named}, and install what {source} lists: {_rename_pylock(named)}")
    if aptfile.NAME not in contents:
        similar = [name for name in contents if name.lower() in ("aptfile", "aptfile.txt")]
        found += [f"the app has {name}, but servers read only {aptfile.NAME}: rename it" for name in similar]
    return list(filter(None, found))


def _excluded(app: Path, contents: Mapping[str, bytes]) -> str:
    """A sentence about the files that list packages, but that the app as git sees it doesn't have."""
    names = [name for name in requirements.NAMES if name not in contents and (app / name).is_file()]
    if not names:
        return ""
    are, them = ("is", "it") if len(names) == 1 else ("are", "them")
    return f"; {app}/{' and '.join(names)} {are} excluded by .gitignore: take {them} out of .gitignore"


def _other_list(contents: Mapping[str, bytes]) -> str:
    """The remedy for a list or lock of packages whose name servers don't read; empty if there is none."""
    if requirements.LIST in contents:
        return ""
    if named := _named_pylock(contents):
        return f"; it has {named}: {_rename_pylock(named)}"
    lists = sorted(filter(_OTHER_LIST.fullmatch, contents), key=_rank)
    if not lists:
        return ""
    name = lists[0]
    if name.endswith(".in"):
        return f"; it has {name}: write the list with `uv pip compile {name} -o {requirements.LIST}`, and commit it"
    if name.lower() in (requirements.LIST, "requirement.txt"):
        return f"; it has {name}: rename it with `mv {name} {requirements.LIST}`"
    return f"; it has {name}: add a {requirements.LIST} with the line `-r {name}`"


def _named_pylock(contents: Mapping[str, bytes]) -> str:
    """The most likely lock with a name that only PEP 751 knows; empty if there is none."""
    return min(filter(_NAMED_PYLOCK.fullmatch, contents), key=_rank, default="")


def _rename_pylock(name: str) -> str:
    return f"if servers should install it, rename it with `mv {name} {requirements.PYLOCK}`"


def _rank(name: str) -> tuple[bool, bool, int, str]:
    """Sorts lists of packages: those for production first, those for development last, and short paths first."""
    is_for_others = re.search(r"dev|test|local|docs|lint|ci\b", name) is not None
    return is_for_others, "prod" not in name, name.count("/"), name


def _check_gunicorn(contents: Mapping[str, bytes], source: str) -> None:
    """Refuse a Gunicorn that can't run with the server's Python, as far as the app's files show it."""
    if source == requirements.LIST:
        places = _listed(contents)
    else:
        needs = locks.own_needs(contents.get, source) if source != requirements.PYLOCK else []
        places = [(requirements.shown(source), need) for need in needs]
    faults = [f"{place} has gunicorn{need.constraint}" for place, need in places if _is_too_old(need)]
    locked = locks.versions_of("gunicorn", contents.get, source)
    if locked and all(versions.satisfies(f"<{_OLDEST_GUNICORN}", version) for version in locked):
        faults = [f"{requirements.shown(source)} has gunicorn=={locked[0]}"]
    if faults:
        raise DependencyError(
            f"{' and '.join(faults)}, which doesn't run with the server's Python {_MINOR}: take gunicorn out of the"
            " app's packages, because the server brings one that fits"
        )


def _listed(contents: Mapping[str, bytes]) -> list[tuple[str, Need]]:
    """The lines about Gunicorn in requirements.txt and the files that it names, with the place of each."""
    listing = requirement_list.read_list(contents.get)
    found = [
        (name, f"{name}, line {number},", need)
        for name, lines in listing.lines.items()
        for number, line in enumerate(lines, 1)
        for need in _needs(line)
        if normalized(need.name) == "gunicorn"
    ]
    # A constraint alone installs nothing.
    installing = requirement_list.installing_files(listing)
    is_listed = any(name in installing for name, _, _ in found)
    return [(place, need) for _, place, need in found] if is_listed else []


def _needs(line: str) -> Iterator[Need]:
    text = line.partition(" #")[0].partition("#")[0].partition(" --")[0].strip().rstrip("\\")
    try:
        yield need_of(text)
    except ValueError:
        # Options, URLs and paths: uv reads them.
        return


def _is_too_old(need: Need) -> bool:
    if normalized(need.name) != "gunicorn" or not need.constraint or not _applies(need.marker):
        return False
    bounds = [word.strip("<>=!~^ ") for word in need.constraint.split(",")]
    newer = [*_GUNICORNS, *(bound for bound in bounds if versions.satisfies(f">={_OLDEST_GUNICORN}", bound))]
    return all(versions.satisfies(need.constraint, version) is False for version in newer)


def _applies(marker: str) -> bool:
    try:
        return markers.applies(marker, _ENVIRONMENT)
    except ValueError:
        # Only the server knows the other variables, such as platform_machine.
        return False
