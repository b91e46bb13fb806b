"""Which of an app's files lists its packages, and what that file says about the app's own code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from host.packages.project_files import (
    COMMANDS,
    LOCK,
    PDM_LOCK,
    PIPFILE,
    PIPFILE_LOCK,
    POETRY_LOCK,
    PROJECT,
    PYLOCK,
    load,
)

LIST = "requirements.txt"
LOCKS = (LOCK, POETRY_LOCK, PDM_LOCK, PIPFILE_LOCK, PYLOCK)
NAMES = (*LOCKS, LIST, PROJECT, PIPFILE)
# Files of Rye, pixi and conda, which servers don't read.
RYE_LOCK = "requirements.lock"
UNREAD = (RYE_LOCK, "pixi.lock", "conda-lock.yml", "environment.yml", "environment.yaml")
# For a member of a uv workspace, the folder in the release with the workspace's files.
WORKSPACE = ".workspace"
WORKSPACE_LOCK = f"{WORKSPACE}/{LOCK}"
LOCK_COMMANDS = {**COMMANDS, WORKSPACE_LOCK: COMMANDS[LOCK]}

# Returns the content of the app's file with that name, or None if there is no such file.
Read = Callable[[str], bytes | None]

# uv's settings that name sources of packages. A source without a scheme is a folder:
# https://docs.astral.sh/uv/reference/settings/
_PLACES = ("find-links", "url", "index-url", "extra-index-url")
_REMOTE = re.compile(r"^(?!file:)\w[\w+.-]*://")


def shown(source: str) -> str:
    """The name of a list of packages for the user, whose folder has no ``.workspace``."""
    return f"the workspace's {LOCK}" if source == WORKSPACE_LOCK else source


def choose(read: Read) -> str:
    """The file that lists the packages: the lock of the project's tool, else requirements.txt, else pyproject.toml.

    Raises ValueError with the remedy if the app has none of them, or two locks that match.
    """
    metadata = project(read)
    if read(LOCK) is not None and not metadata and read(LIST) is None and not any(_claims(read).values()):
        raise ValueError(f"the app has {LOCK}, but no {PROJECT} with a [project] table: add one, or remove {LOCK}")
    if lock := _choose_lock(read):
        return lock
    if read(LIST) is not None:
        return LIST
    if read(WORKSPACE_LOCK) is not None:
        return WORKSPACE_LOCK
    _require_lock(read)
    _refuse_lock_without_project(read)
    if not metadata:
        raise ValueError(
            f"the app has no {LOCK}, no {LIST} and no {PROJECT} with a [project] table: add a {LIST} with at least your"
            f" web framework{_hint(read)}"
        )
    if "dependencies" in metadata.get("dynamic", ()):
        raise ValueError(f"the dependencies in {PROJECT} are dynamic: list them there, or commit a {LOCK} or {LIST}")
    return PROJECT


def unused(read: Read) -> list[str]:
    """The other files that list packages and aren't used."""
    source = choose(read)
    together = {source, PIPFILE if source == PIPFILE_LOCK else source}
    return [name for name in (*LOCKS, LIST, PIPFILE, *UNREAD) if name not in together and read(name) is not None]


def _choose_lock(read: Read) -> str | None:
    """The lock with the strongest claim, or None if the app has no lock. Raises ValueError for a tie."""
    claims = _claims(read)
    strongest = [name for name, claim in claims.items() if claim and claim == max(claims.values())]
    if len(strongest) > 1:
        both = " and ".join(strongest)
        raise ValueError(
            f"the app has {both}, and {PROJECT} doesn't say which of them counts: remove the one that doesn't"
        )
    return strongest[0] if strongest else None


def _claims(read: Read) -> dict[str, int]:
    """How strongly each lock belongs to the project: 3 if its tool's settings are there, 0 if it doesn't count."""
    has_project = bool(project(read))
    claims = {
        LOCK: 3 if has_project and table(read, "tool", "uv") else 2 * has_project,
        POETRY_LOCK: 3 if table(read, "tool", "poetry") else 1,
        PDM_LOCK: 3 if table(read, "tool", "pdm") else 1,
        PIPFILE_LOCK: 2 if read(PIPFILE) is not None else 1,
        PYLOCK: 1,
    }
    return {name: claim * _has_project_file(read, name) for name, claim in claims.items() if read(name) is not None}


def _has_project_file(read: Read, lock: str) -> bool:
    """Whether the file that a lock was made from declares dependencies. Otherwise the lock is left over."""
    if lock == PYLOCK:
        return True
    if lock == PIPFILE_LOCK:
        # The lock itself lists what the Pipfile asked for. So it counts alone, but not beside another list.
        return _declared(read, lock) or (read(PIPFILE) is None and read(LIST) is None)
    # A project of uv may need no packages.
    return _declared(read, lock) or (lock == LOCK and read(LIST) is None)


def _declared(read: Read, lock: str) -> bool:
    if lock == PIPFILE_LOCK:
        return bool(load(PIPFILE, read(PIPFILE) or b"").get("packages"))
    metadata = project(read)
    if metadata.get("dependencies") or "dependencies" in metadata.get("dynamic", ()):
        return True
    groups = (("dependencies",), ("group", "main", "dependencies"))
    return lock == POETRY_LOCK and any(table(read, "tool", "poetry", *names) for names in groups)


def _refuse_lock_without_project(read: Read) -> None:
    """Raise ValueError if only locks list packages, and their project file doesn't say which of them the app needs."""
    left = [lock for lock in (POETRY_LOCK, PDM_LOCK, PIPFILE_LOCK) if read(lock) is not None]
    if not left:
        return
    file = PIPFILE if left == [PIPFILE_LOCK] else PROJECT
    fault = "there is none" if read(file) is None else "it lists no dependencies"
    raise ValueError(
        f"the app has {' and '.join(left)}, which a {file} belongs to, but {fault}: list the dependencies in {file} and"
        f" run `{LOCK_COMMANDS[left[0]]}`, or remove {' and '.join(left)} and add a {LIST}"
    )


def _require_lock(read: Read) -> None:
    """Raise ValueError if only a tool's own file lists the packages, and its lock is missing."""
    poetry = table(read, "tool", "poetry", "dependencies").keys() - {"python"}
    for file, lock, is_used in (
        (PIPFILE, PIPFILE_LOCK, read(PIPFILE) is not None),
        (PROJECT, POETRY_LOCK, bool(poetry)),
    ):
        if is_used and read(lock) is None:
            command = LOCK_COMMANDS[lock]
            raise ValueError(f"the app has {file}, but no {lock}: write it with `{command}`, and commit it")


def _hint(read: Read) -> str:
    if read("setup.py") is not None:
        return ". For the packages of setup.py, it needs the line `.`"
    if read(RYE_LOCK) is not None:
        return f". If {RYE_LOCK} has its packages, run `cp {RYE_LOCK} {LIST}`"
    if unread := [name for name in UNREAD if read(name) is not None]:
        return f". Servers don't read {' and '.join(unread)}, because they have neither conda nor pixi"
    return ""


def project(read: Read) -> dict[str, Any]:
    """The [project] table of pyproject.toml. It is empty if the file is missing or holds only other tools' settings."""
    return table(read, "project")


def table(read: Read, *names: str) -> dict[str, Any]:
    """A table of pyproject.toml, empty if there is none."""
    content: Any = load(PROJECT, read(PROJECT) or b"")
    for name in names:
        content = content.get(name, {})
    return cast(dict[str, Any], content)


def installs_own_code(read: Read) -> bool:
    """Whether packages from the app's own folder are installed. If so, no other release can share the venv.

    Lines of requirements.txt don't count here.
    """
    source = choose(read)
    if source in (LIST, PROJECT):
        return any(map(_names_a_folder, (table(read, "tool", "uv"), load("uv.toml", read("uv.toml") or b""))))
    content = read(source) or b""
    if source == PIPFILE_LOCK:
        entries: list[Any] = list(load(source, content).get("default", {}).values())
        return any("path" in entry or "://" not in entry.get("file", "://") for entry in entries)
    packages = load(source, content).get("packages" if source == PYLOCK else "package", [])
    return any(
        map(
            {LOCK: _of_uv, WORKSPACE_LOCK: _of_uv, POETRY_LOCK: _of_poetry, PDM_LOCK: _of_pdm, PYLOCK: _of_pylock}[
                source
            ],
            packages,
        )
    )


def _of_uv(package: dict[str, Any]) -> bool:
    # The package at "." is the app itself, which isn't installed.
    return any(package.get("source", {}).get(kind, ".") != "." for kind in ("editable", "directory", "path"))


def _of_poetry(package: dict[str, Any]) -> bool:
    return package.get("source", {}).get("type") in ("file", "directory")


def _of_pdm(package: dict[str, Any]) -> bool:
    return package.get("path", ".") not in (".", "./")


def _of_pylock(package: dict[str, Any]) -> bool:
    places = [package.get("archive", {}), package.get("sdist", {}), *package.get("wheels", [])]
    return "directory" in package or any("path" in place for place in places)


def _names_a_folder(settings: Any, key: str = "") -> bool:
    """Whether uv's settings name packages of the app: by a path, as a member of its workspace, or in a folder."""
    if isinstance(settings, dict):
        table = cast(dict[str, Any], settings)
        return "path" in table or table.get("workspace") is True or any(_names_a_folder(v, k) for k, v in table.items())
    if isinstance(settings, list):
        return any(_names_a_folder(value, key) for value in cast(list[Any], settings))
    return key in _PLACES and isinstance(settings, str) and _REMOTE.match(settings) is None
