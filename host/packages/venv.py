"""Virtual environments, named by a digest of their contents, so that an unchanged set of packages costs nothing."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
from collections.abc import Mapping
from pathlib import Path

from host import files
from host.errors import ReleaseError
from host.packages import isolation, locks, package_install, pythons, requirement_list, requirements, uv
from host.packages.package_install import Installation, reader
from host.packages.requirements import LIST, LOCK, PIPFILE, PROJECT, WORKSPACE_LOCK, Read
from host.paths import Paths

# The keys of [project] that influence the packages. The app's version or description doesn't.
_PROJECT_KEYS = ("name", "requires-python", "dependencies")
# The mark of a complete virtual environment, in the folder itself, as earlier versions made it.
_OLD_MARK = ".complete"


def ensure(paths: Paths, release: Path, variables: Mapping[str, str]) -> tuple[Path, str]:
    """Build the virtual environment of the release in folder ``release`` if it doesn't exist.

    ``variables`` are those of the app. Another login or address of a package registry changes no package, so a virtual
    environment that exists stays.

    Returns the virtual environment's folder, and a note for the output. Raises ReleaseError with uv's error.
    """
    read = reader(release)
    source = requirements.choose(read)
    folder = _folder(paths, release, read)
    # ``prune`` needs the link: the name of the folder changes with the server's Python.
    paths.venv_links.mkdir(parents=True, exist_ok=True)
    files.point(paths.venv_links / release.name, folder)
    if _is_complete(paths, folder):
        return folder, "unchanged"
    locks.check(read, source)
    _mark(paths, folder).unlink(missing_ok=True)
    isolation.stop_all()
    # Processes of an earlier version survive a run that was killed. They would still write into the folder that is
    # removed and built again here.
    uv.end_processes_of(pwd.getpwnam(isolation.BUILD_USER).pw_uid)
    shutil.rmtree(folder, ignore_errors=True)
    choice = pythons.chosen(read)
    python, python_notes = pythons.executable(paths, choice)
    installation = Installation(
        paths=paths,
        release=release,
        source=source,
        folder=folder,
        python=python,
        gunicorn=pythons.gunicorn_requirements(paths, choice),
        variables=variables,
    )
    try:
        notes = [*package_install.install(installation), *python_notes]
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    files.seal(folder)
    files.sync(folder)
    # Written last: a virtual environment without a mark was interrupted and is built again.
    complete(paths, folder)
    return folder, "; ".join(notes)


def is_built(paths: Paths, release: Path, read: Read | None = None) -> bool:
    """Whether the release's packages are installed. ``read`` returns its files if it isn't unpacked yet."""
    return _is_complete(paths, _folder(paths, release, read or reader(release)))


def complete(paths: Paths, folder: Path) -> None:
    """Mark a virtual environment as complete."""
    _mark(paths, folder).touch()


def prune_marks(paths: Paths) -> None:
    """Remove the marks of virtual environments that don't exist any more."""
    for mark in paths.venv_marks.glob("*"):
        if not (paths.venvs / mark.name).is_dir():
            mark.unlink()


def adopt(paths: Paths) -> None:
    """Give virtual environments that an earlier version made to root, and mark them, once."""
    if paths.venv_marks.is_dir():
        return
    marks = paths.venv_marks.with_name(f".{paths.venv_marks.name}.new")
    shutil.rmtree(marks, ignore_errors=True)
    marks.mkdir(parents=True)
    for folder in paths.venvs.glob("[!.]*"):
        if _is_owners(folder / _OLD_MARK):
            files.seal(folder)
            (marks / folder.name).touch()
    marks.rename(paths.venv_marks)


def _is_owners(mark: Path) -> bool:
    """Whether the file exists and this program's user made it, and not the code of a package."""
    return mark.is_file() and not mark.is_symlink() and mark.stat().st_uid == os.getuid()


def _is_complete(paths: Paths, folder: Path) -> bool:
    adopt(paths)
    return folder.is_dir() and _mark(paths, folder).exists()


def _mark(paths: Paths, folder: Path) -> Path:
    return paths.venv_marks / folder.name


def _folder(paths: Paths, release: Path, read: Read) -> Path:
    gunicorn = pythons.gunicorn_requirements(paths, pythons.chosen(read))
    return paths.venvs / key(release, read, gunicorn.read_bytes())


def key(release: Path, read: Read, gunicorn: bytes) -> str:
    """The virtual environment's name: 12 hex digits of a digest of the packages, Gunicorn and the Python version."""
    digest = hashlib.sha256()
    for part in (*_inputs(release, read), gunicorn, pythons.name(pythons.chosen(read)).encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]


def has_package(folder: Path, name: str) -> bool:
    """Whether a package that is imported as ``name`` is installed in the virtual environment."""
    return any(folder.glob(f"lib/python3*/site-packages/{name}/__init__.py"))


def _inputs(release: Path, read: Read) -> list[bytes]:
    """Everything that decides which packages are installed: the list of packages, and uv's settings.

    Servers keep virtual environments under these names. So what an app had before must keep its digest.
    """
    source = requirements.choose(read)
    parts = [part for part in (read("uv.toml"),) if part is not None]
    if settings := requirements.table(read, "tool", "uv"):
        parts.append(_json(settings))
    if requirements.installs_own_code(read):
        parts.append(str(release).encode())
    if source == LIST:
        return [*parts, *_listed(release, read)]
    project = requirements.project(read)
    relevant = {name: project[name] for name in _PROJECT_KEYS if name in project}
    parts += [source.encode(), _json(relevant), read(source if source != PROJECT else LOCK) or b""]
    if source == WORKSPACE_LOCK:
        parts.append(read(f"{requirements.WORKSPACE}/{PROJECT}") or b"")
    if source in locks.CONVERTED:
        parts += [_json(requirements.table(read, "tool", "poetry", "dependencies")), read(PIPFILE) or b""]
    return parts


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, default=str).encode()


def _listed(release: Path, read: Read) -> list[bytes]:
    """The contents of a requirements file and of the files that it names, each once.

    A file that names a package of the app adds the release: then no other release can share the virtual environment.
    """
    try:
        listing = requirement_list.read_list(read)
    except ValueError as error:
        raise ReleaseError(str(error)) from None
    own = str(release).encode()
    return [part for name, content in listing.contents.items() for part in (content, *[own] * listing.own_code[name])]
