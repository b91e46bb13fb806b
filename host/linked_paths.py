"""Linked paths: files and folders of the app that are links to /var/lib/app, so that the app can write to them.

The data stays when another release is served. A path that the release ships seeds the data once.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from host import files
from host.console import say
from host.deployment import APP_USER, Deployment
from host.errors import ReleaseError
from host.packages import venv
from host.paths import Paths

# Files whose names have no suffix.
_FILES = ("celerybeat-schedule",)
_FLASK_APP = b"Flask("
# Folders with code that doesn't run on a server.
_NO_APP = ("tests", "test", "docs", "examples", "node_modules")
# As the app's units: other users can't read the data.
_UMASK = 0o007
# Seeds a path: a copy under another name, then a rename. Killed in between, the next run begins again.
_SEED = 'rm -rf "$2.partial"; mkdir -p "$(dirname "$2")"; cp -RH "$1" "$2.partial"; mv -T "$2.partial" "$2"'


@dataclass(frozen=True)
class Link:
    """A relative path of the app that is a link to the same path below /var/lib/app."""

    path: str
    is_folder: bool


def find(paths: Paths, deployment: Deployment, *, venv_folder: Path, current: Path | None) -> list[Link]:
    """The linked paths of a deployment: those of the setting, and Flask's instance folder.

    ``current`` is the app's folder of the deployment that serves. Raises
    ReleaseError if that one has a linked folder which this one wouldn't have.
    """
    release = paths.releases / deployment.release
    links = [_link(paths, release, path) for path in deployment.linked]
    for path in _instance_folders(release, venv_folder):
        if any(PurePosixPath(path).is_relative_to(link.path.rstrip("/")) for link in links):
            continue
        if deployment.link_defaults:
            links.append(Link(path, is_folder=True))
        elif current and (current / path).is_symlink() and any((paths.app_home / path).glob("*")):
            raise ReleaseError(
                f"{paths.app_home / path} has data that the app stored on a single server. Of several servers each"
                f" would have its own {path}: store the data in a database, or accept this with:"
                " pulumi config set linkedPathsPerServer true"
            )
    return links


def provide(paths: Paths, release: Path, links: list[Link]) -> None:
    """Create what the links point to, as the user of the app, and say so. Data that exists stays as it is."""
    if links and not paths.app_home.is_dir():
        paths.app_home.mkdir(parents=True)
        shutil.chown(paths.app_home, APP_USER, APP_USER)
    for link in links:
        target, shipped = paths.app_home / link.path, release / link.path
        if os.path.lexists(target):
            _check_existing(link, target, shipped)
        elif os.path.lexists(shipped):
            files.run_as(APP_USER, ["sh", "-euc", _SEED, "sh", str(shipped), str(target)], _UMASK)
            say(f"  {link.path}: copied from the release to {target}, where the app may change it")
        else:
            folder = target if link.is_folder else target.parent
            files.run_as(APP_USER, ["mkdir", "-p", str(folder)], _UMASK)


def make(paths: Paths, links: list[Link], *, release: Path, app: Path) -> None:
    """Replace the paths in ``app``, a copy of the ``release`` in which no other process works, by links."""
    for link in links:
        path = app / link.path
        # Before anything is created: resolve() also follows the links on the way to a folder that doesn't exist yet.
        if not path.parent.resolve().is_relative_to(app.resolve()):
            raise ReleaseError(f"the linked path {link.path} leaves the app through a symbolic link: remove that link")
        path.parent.mkdir(parents=True, exist_ok=True)
        written = set[str]() if path.is_symlink() else _names(path)
        if dropped := sorted(written - _names(release / link.path)):
            say(f"  {link.path}: the build wrote {dropped[0]} there, which the link to {paths.app_home} hides")
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(paths.app_home / link.path)


def is_folder(path: str) -> bool:
    """Whether a path that nobody has created yet means a folder: it ends with a slash, or has no suffix."""
    name = PurePosixPath(path).name
    return path.endswith("/") or not (PurePosixPath(name).suffix or name in _FILES)


def _link(paths: Paths, release: Path, path: str) -> Link:
    places = [place for folder in (paths.app_home, release) if os.path.lexists(place := folder / path)]
    return Link(path.rstrip("/"), is_folder=path.endswith("/") or (places[0].is_dir() if places else is_folder(path)))


def _check_existing(link: Link, target: Path, shipped: Path) -> None:
    if link.is_folder and not target.is_dir():
        raise ReleaseError(f"the linked path {link.path} is a folder of the app, but {target} is a file: move it away")
    if os.path.lexists(shipped) and _differs(shipped, target):
        say(f"  {link.path}: {target} stays as it is, and differs from what the release ships")


def _differs(shipped: Path, target: Path) -> bool:
    """Whether a file that the release ships is missing in the data or has another content there."""
    if not shipped.is_dir():
        return not _is_same(shipped, target)
    return not all(_is_same(shipped / name, target / name) for name in _names(shipped))


def _is_same(shipped: Path, target: Path) -> bool:
    # Only regular files: the app could have put a pipe there, on which a read would wait.
    return target.is_file() and not target.is_symlink() and filecmp.cmp(shipped, target, shallow=False)


def _names(path: Path) -> set[str]:
    """The files below a folder, by relative path, or the name of a file; empty if the path doesn't exist."""
    if not path.is_dir():
        return {path.name} if os.path.lexists(path) else set()
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_symlink() or not file.is_dir()}


def _instance_folders(release: Path, venv_folder: Path) -> Iterator[str]:
    """The folders that Flask calls the instance folder, for each place that the app may be imported from.

    https://flask.palletsprojects.com/en/stable/config/#instance-folders
    """
    if not venv.has_package(venv_folder, "flask"):
        return
    for root in sorted({"", *_import_roots(release)}):
        path = str(PurePosixPath(root) / "instance")
        # An instance folder that the release ships holds settings, which the app only reads.
        if not os.path.lexists(release / path):
            yield path


def _import_roots(release: Path) -> Iterator[str]:
    """The folders from which the modules that create a Flask app are imported, relative to the release."""
    for parent, folders, names in os.walk(release):
        folders[:] = [name for name in folders if name not in _NO_APP and not name.startswith(".")]
        for name in names:
            if name.endswith(".py") and _FLASK_APP in Path(parent, name).read_bytes():
                yield str(_import_root(Path(parent), release).relative_to(release))
                break


def _import_root(folder: Path, release: Path) -> Path:
    while folder != release and (folder / "__init__.py").exists():
        folder = folder.parent
    return folder
