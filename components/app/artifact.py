"""Packs an app's folder into a tarball that has the same bytes on every computer."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path

from components.app import dependencies, procfile, web_command
from components.app.ignore import app_files
from components.errors import UserError
from components.files import write_once
from host import requirements

DIGEST_DIGITS = 12
# How many packed apps stay on this computer.
KEPT_ARTIFACTS = 10


class ArtifactError(UserError):
    """The folder can't be packed as an app; the text says why and what to do."""


@dataclass(frozen=True)
class Artifact:
    """A packed app: ``release`` is the first 12 hex digits of the tarball's SHA-256, ``path`` is the tarball."""

    release: str
    path: Path


def pack(app: Path, into: Path) -> Artifact:
    """Pack the folder ``app`` as ``into/<release>.tar``; raises UserError."""
    content = tarball(app)
    release = hashlib.sha256(content).hexdigest()[:DIGEST_DIGITS]
    path = into / f"{release}.tar"
    write_once(path, content)
    path.touch()
    for old in sorted(into.glob("*.tar"), key=lambda tar: tar.stat().st_mtime)[:-KEPT_ARTIFACTS]:
        old.unlink(missing_ok=True)
    return Artifact(release, path)


def tarball(app: Path) -> bytes:
    """The tarball's bytes. It isn't compressed: compressors differ between computers, and so would the digest."""
    app = app.resolve()
    if not app.is_dir():
        raise ArtifactError(
            f"{app} is not a folder, and the setting app must name one; set it with: pulumi config set app <folder>"
        )
    contents = {name: _content(app, name) for name in app_files(app)}
    dependencies.check(app, contents)
    if "Procfile" not in contents:
        procfile.require_name(app, contents)
        contents["Procfile"] = f"web: {web_command.guess(app)}\n".encode()
    procfile.check(app, contents)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(contents):
            _add(archive, app, name=name, content=contents[name])
    return stream.getvalue()


def _add(archive: tarfile.TarFile, app: Path, *, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.mtime = _mtime(content)
    path = app / name
    if path.is_symlink():
        entry.type, entry.linkname = tarfile.SYMTYPE, os.fsdecode(content)
        archive.addfile(entry)
        return
    executable = path.exists() and path.stat().st_mode & stat.S_IXUSR
    entry.mode, entry.size = 0o755 if executable else 0o644, len(content)
    archive.addfile(entry, io.BytesIO(content))


def _mtime(content: bytes) -> int:
    """A time between 2000 and 2017 that depends on the content alone.

    It isn't a constant: web frameworks make a static file's ETag from its time and size. With a constant, browsers
    would keep the old file after an edit that doesn't change the size.
    """
    return 946_684_800 + int.from_bytes(hashlib.sha256(content).digest()[:4]) // 8


def _content(app: Path, name: str) -> bytes:
    """The content of a file, or the target of a link within the app; raises ArtifactError."""
    path = app / name
    if not path.is_symlink():
        return path.read_bytes()
    target = path.readlink()
    destination = os.path.normpath(Path(name).parent / target)
    if target.is_absolute() or destination.startswith("..") or not path.resolve().is_relative_to(app):
        raise ArtifactError(
            f"{path} is a symbolic link that leaves the app ({target}), and the server won't have its target:"
            " replace it by a copy, or add it to .gitignore"
        )
    if name in ("Procfile", "app.json", *requirements.NAMES):
        raise ArtifactError(f"{path} is a symbolic link: replace it by the file itself")
    return os.fsencode(target)
