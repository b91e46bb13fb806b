"""Versions of Python besides the server's own: uv installs them where the app can read them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from host import files
from host.errors import ReleaseError
from host.packages import python_versions, uv
from host.packages.isolation import BUILD_USER
from host.packages.python_versions import Choice
from host.packages.requirements import Read
from host.paths import Paths

# The first version that Gantry's own Gunicorn supports.
GUNICORN_PYTHON = (3, 10)


def _own() -> str:
    """The version of the server's Python."""
    return f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"


def chosen(read: Read) -> Choice:
    """The Python that an app asks for; raises ValueError if its files contradict each other."""
    return python_versions.choose(read, _own())


def name(choice: Choice) -> str:
    """The version that packages are compiled for. It stays the same when an update changes the last digit."""
    if choice.version:
        return f"cpython {choice.version}"
    return f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"


def gunicorn_requirements(paths: Paths, choice: Choice) -> Path:
    """The locked requirements of the newest Gunicorn that this Python can run."""
    is_older = choice.version != "" and tuple(map(int, choice.version.split(".")[:2])) < GUNICORN_PYTHON
    return paths.older_gunicorn_requirements if is_older else paths.gunicorn_requirements


def executable(paths: Paths, choice: Choice) -> tuple[str, list[str]]:
    """The path of the Python to run, and notes for the output. A missing Python is installed.

    Raises ReleaseError if that fails. The app never runs with another minor version than the one it asks for.
    """
    notes = [choice.note] if choice.note else []
    if not choice.version:
        return sys.executable, notes
    if (path := _installed(paths, choice.version)) is None:
        try:
            path = _install(paths, choice.version)
        except ReleaseError as error:
            path = _newest_of_minor(paths, choice)
            if path is None:
                raise _unavailable(choice, error) from None
    version = path.parents[1].name.split("-")[1]
    return str(path), [*notes, f"Python {version} for {choice.reason}"]


def _unavailable(choice: Choice, error: ReleaseError) -> ReleaseError:
    return ReleaseError(
        f"the app asks for Python {choice.reason}, this server has {_own()}, and Python"
        f" {choice.version} can't be downloaded:\n{error.message.partition(chr(10))[2]}",
        f"Let the app ask for Python {_own().rpartition('.')[0]}, or name a mirror of"
        " python-build-standalone that the server reaches: pulumi config set pythonMirror <url>",
    )


def _newest_of_minor(paths: Paths, choice: Choice) -> Path | None:
    """For a pin such as 3.9.18: another 3.9, or None if there is none, or if the app requires exactly ==3.9.18."""
    minor = ".".join(choice.version.split(".")[:2])
    if minor == choice.version or "==" in choice.reason:
        return None
    try:
        return _installed(paths, minor) or _install(paths, minor)
    except ReleaseError:
        return None


def _installed(paths: Paths, version: str) -> Path | None:
    """The newest installed Python of that version, or None."""
    folders = [folder for folder in paths.pythons.glob(f"cpython-{version}[.-]*") if not folder.is_symlink()]
    newest = max(folders, key=lambda folder: list(map(int, folder.name.split("-")[1].split("."))), default=None)
    path = newest / "bin/python3" if newest else None
    return path if path and path.exists() else None


def _install(paths: Paths, version: str) -> Path:
    if not paths.pythons.is_dir():
        paths.pythons.mkdir(parents=True)
        shutil.chown(paths.pythons, BUILD_USER, BUILD_USER)
    mirror = paths.python_mirror.read_text().strip() if paths.python_mirror.exists() else ""
    command = [str(paths.uv), "python", "install", "--no-bin", "--install-dir", str(paths.pythons), version]
    # uv knows the digests of python-build-standalone's archives. Other archives need a list with theirs.
    name = "UV_PYTHON_DOWNLOADS_JSON_URL" if mirror.endswith(".json") else "UV_PYTHON_INSTALL_MIRROR"
    variables = {"UV_PYTHON_DOWNLOADS": "manual", **({name: mirror} if mirror else {})}
    uv.run(command, paths.pythons, variables, writable=paths.pythons)
    if (path := _installed(paths, version)) is None:
        raise ReleaseError(f"uv installed Python {version}, but not into {paths.pythons}")
    seal(paths)
    return path


def seal(paths: Paths) -> None:
    """Give the installed versions to root, so that no code of packages can change them."""
    for folder in paths.pythons.glob("cpython-*"):
        if not folder.is_symlink() and folder.stat().st_uid != os.getuid():
            files.seal(folder)


def prune(paths: Paths) -> None:
    """Remove the versions that no virtual environment uses any more."""
    used = {link.resolve().parents[1].name for link in paths.venvs.glob("*/bin/python")}
    for folder in paths.pythons.glob("cpython-*"):
        if folder.is_symlink() and folder.resolve().name not in used:
            folder.unlink()
        elif not folder.is_symlink() and folder.name not in used:
            shutil.rmtree(folder)
