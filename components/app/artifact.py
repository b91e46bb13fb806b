"""Packs an app's folder into a tarball that has the same bytes on every computer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from components.app import (
    app_json,
    apps_below,
    dependencies,
    discovery,
    heroku_files,
    links,
    own_imports,
    platform_files,
    platform_settings,
    procfile,
    suspects,
    tarball,
    websockets,
    workspace,
    workspace_root,
)
from components.app.configured import Configured
from components.app.listing import Listing, app_files
from components.errors import UserError
from host import utf8
from host.packages import requirements

DIGEST_DIGITS = 12
# How many packed apps stay on this computer.
KEPT_ARTIFACTS = 10
# A file that a killed `up` left is removed after this time.
_PARTIAL_SECONDS = 3600
_UNKNOWN = Configured()
_READ_BY_GANTRY = ("Procfile", "app.json")


class ArtifactError(UserError):
    """The folder can't be packed as an app; the text says why and what to do."""


@dataclass(frozen=True)
class Artifact:
    """A packed app.

    ``release`` is the first 12 hex digits of the tarball's SHA-256, ``path`` is the tarball. ``notes`` has sentences
    for the user, and ``web_line`` is the line that stands for a missing Procfile, or "". Both are empty if the same
    tarball has been packed on this computer before.
    """

    release: str
    path: Path
    notes: tuple[str, ...] = ()
    web_line: str = ""


class Contents(NamedTuple):
    """What is packed, sentences for the user, and the line that stands for a missing Procfile, or ""."""

    members: list[tarball.Member]
    notes: list[str]
    web_line: str


def pack(
    app: Path,
    into: Path,
    *,
    files: Callable[[Path], Listing] = app_files,
    apt_packages: Collection[str] = (),
    configured: Configured = _UNKNOWN,
) -> Artifact:
    """Pack the folder ``app`` as ``into/<release>.tar``; raises UserError.

    ``files`` lists the app's files. ``apt_packages`` are Debian packages that servers have besides those of the app.
    ``configured`` has the settings that files of other platforms may have, too.
    """
    app = _folder(app)
    checked = _checked(app, files, apt_packages)
    members = checked.sorted_members()
    into.mkdir(parents=True, exist_ok=True)
    # Almost always, a tarball of the same size is the same. If so, nothing is written.
    size = tarball.size(members)
    if any(kept.stat().st_size == size for kept in into.glob("*.tar")):
        path = into / _name(tarball.write(members, lambda _: None))
        if path.exists():
            path.touch()
            return Artifact(path.stem, path)
    notes = tuple(_notes(app, checked, apt_packages, configured))
    path = _write(members, into)
    for old in sorted(into.glob("*.tar"), key=lambda tar: tar.stat().st_mtime)[:-KEPT_ARTIFACTS]:
        old.unlink(missing_ok=True)
    return Artifact(path.stem, path, notes, checked.web_line)


def contents(
    app: Path,
    files: Callable[[Path], Listing] = app_files,
    apt_packages: Collection[str] = (),
    configured: Configured = _UNKNOWN,
) -> Contents:
    """The checked contents of the app's tarball; raises UserError."""
    app = _folder(app)
    checked = _checked(app, files, apt_packages)
    return Contents(checked.sorted_members(), list(_notes(app, checked, apt_packages, configured)), checked.web_line)


def _folder(app: Path) -> Path:
    app = app.resolve()
    if not app.is_dir():
        raise ArtifactError(
            f"{app} is not a folder, and the setting app must name one; set it with: pulumi config set app <folder>"
        )
    return app


@dataclass(frozen=True)
class _Checked:
    """An app that may be packed: its files, the links among them, and the members of the tarball by name."""

    listing: Listing
    links: dict[str, str]
    files: _Contents
    members: dict[str, tarball.Member]

    @property
    def web_line(self) -> str:
        """The line that stands for a missing Procfile, or ""."""
        return self.files.generated.get("Procfile", b"").decode().strip()

    def sorted_members(self) -> list[tarball.Member]:
        return [self.members[name] for name in sorted(self.members)]


def _checked(app: Path, files: Callable[[Path], Listing], apt_packages: Collection[str]) -> _Checked:
    """The app in a folder; raises UserError."""
    listing = files(app)
    links_of_app = {name: links.target_of(app, name) for name in listing.names if (app / name).is_symlink()}
    for name in _READ_BY_GANTRY:
        if name in links_of_app:
            raise ArtifactError(f"{app / name} is a symbolic link: replace it by the file itself")
    found = _Contents(app, listing.names)
    # Often, requirements.txt is a link to one of several lists. A server gets the list itself.
    found.generated |= {
        name: found[name] for name in requirements.NAMES if name in links_of_app and (app / name).is_file()
    }
    _check(app, found, files=files, apt_packages=apt_packages)
    members: dict[str, tarball.Member] = {
        name: tarball.link(name, links_of_app[name]) if name in links_of_app else tarball.file(name, app / name)
        for name in listing.names
    } | {name: tarball.generated(name, content) for name, content in found.generated.items()}
    return _Checked(listing, links_of_app, found, members)


def _notes(app: Path, checked: _Checked, apt_packages: Collection[str], configured: Configured) -> Iterator[str]:
    """The sentences for the user. They read many files, and only a tarball that is new on this computer needs them."""
    found, names, web_line = checked.files, checked.listing.names, checked.web_line
    yield from checked.listing.notes
    yield from dependencies.notes(found)
    yield from procfile.notes(app, found, apt_packages)
    yield from workspace_root.notes(app, found)
    yield from heroku_files.notes(app, found)
    yield from app_json.notes(found, apt_packages)
    yield from platform_settings.notes(found, configured)
    if web_line:
        yield from procfile.note_of_others(found)
        yield from platform_files.notes(found, web_line.removeprefix("web: "))
    yield from platform_files.build_notes(found)
    yield from websockets.notes(found)
    yield from links.notes(app, [name for name in checked.links if name not in found.generated], names)
    yield from suspects.notes(names, lambda name: checked.members[name].start)


def _check(app: Path, contents: _Contents, *, files: Callable[[Path], Listing], apt_packages: Collection[str]) -> None:
    """Check the files that Gantry reads, and add those that the app lacks; raises UserError."""
    _check_encodings(contents)
    contents.generated |= workspace.files(app, contents, files)
    try:
        dependencies.check(app, contents)
    except dependencies.DependencyError:
        # The folder of a repository with several apps has no packages of its own.
        if "Procfile" not in contents and (remedy := apps_below.remedy(app, contents)):
            raise discovery.DiscoveryError(remedy) from None
        raise
    if "Procfile" not in contents:
        heroku_files.require_procfile(app, contents)
        procfile.require_name(app, contents)
        contents.generated["Procfile"] = f"web: {_discovered(app, contents)}\n".encode()
    procfile.check(app, contents, apt_packages)
    own_imports.check(app, contents)


def _discovered(app: Path, contents: _Contents) -> str:
    """The command for an app without a Procfile; raises UserError."""
    try:
        return discovery.command(app, contents)
    except discovery.DiscoveryError as error:
        if remedy := platform_files.remedy(contents):
            raise discovery.DiscoveryError(f"{error}; {remedy}") from None
        raise


def _check_encodings(contents: _Contents) -> None:
    """Check the files that must be in UTF-8; the Procfile and requirements.txt may also be in UTF-16."""
    for name in {"app.json", *requirements.NAMES} - {requirements.LIST}:
        if name in contents:
            try:
                utf8.decode(name, contents[name])
            except ValueError as error:
                raise ArtifactError(str(error)) from None


def _write(members: list[tarball.Member], into: Path) -> Path:
    """Write the tarball under a temporary name, and rename it when its digest is known."""
    for old in into.glob(".*.partial"):
        if time.time() - old.stat().st_mtime > _PARTIAL_SECONDS:
            old.unlink(missing_ok=True)
    partial = into / f".{os.getpid()}.partial"
    try:
        with partial.open("wb") as stream:
            name = _name(tarball.write(members, stream.write))
        partial.replace(into / name)
    except OSError as error:
        megabytes = tarball.size(members) // 1_000_000 + 1
        raise ArtifactError(
            f"the packed app of {megabytes} MB can't be written to {into}: {error.strerror}; free some space, or"
            " exclude files that the app doesn't need with .gitignore"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return into / name


def _name(digest: str) -> str:
    return f"{digest[:DIGEST_DIGITS]}.tar"


class _Contents(Mapping[str, bytes]):
    """The contents of the app's files by name. A file is read when it is asked for, and again if asked again.

    ``generated`` has those that the app's folder lacks.
    """

    def __init__(self, app: Path, names: list[str]) -> None:
        self.generated: dict[str, bytes] = {}
        self._app = app
        self._names = set(names)

    def __getitem__(self, name: str) -> bytes:
        if name in self.generated:
            return self.generated[name]
        if name not in self._names:
            raise KeyError(name)
        # A link leads to another file of the app, to a folder, or to nothing.
        path = Path(os.path.realpath(self._app / name))
        return tarball.read(path) if path.is_file() else b""

    def __contains__(self, name: object) -> bool:
        return name in self.generated or name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names | self.generated.keys())

    def __len__(self) -> int:
        return len(self._names | self.generated.keys())
