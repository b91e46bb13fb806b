"""From an app's folder to a tarball that is the same, byte for byte, on every machine."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pathspec

from components import webcommand
from components.errors import UserError

# Never part of an app, whatever .gitignore says. The names are those of Git, Python and its tools.
ALWAYS_IGNORED = (".git/", "__pycache__/", "*.py[cod]", ".venv/", ".pytest_cache/", ".ruff_cache/", ".DS_Store")
DIGEST_DIGITS = 12


class ArtifactError(UserError):
    """The folder can't be packed as an app; the text says why and what to do."""


@dataclass(frozen=True)
class Artifact:
    """A packed app: ``release`` names it, ``path`` is the tarball."""

    release: str
    path: Path


def pack(app: Path, into: Path) -> Artifact:
    """Pack the folder ``app`` as ``into/<release>.tar``; raises ArtifactError."""
    content = tarball(app)
    release = hashlib.sha256(content).hexdigest()[:DIGEST_DIGITS]
    path = into / f"{release}.tar"
    if not path.exists():
        into.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(path)
    return Artifact(release, path)


def tarball(app: Path) -> bytes:
    """The tarball's bytes. Not compressed: compressors differ from machine to machine, and so would the digest."""
    app = app.resolve()
    if not app.is_dir():
        raise ArtifactError(f"{app} is not a folder")
    if not (app / "requirements.txt").is_file():
        raise ArtifactError(f"{app} has no requirements.txt: add one that lists at least your web framework")
    members = {path: _content(app, path) for path in _files(app)}
    if not (app / "Procfile").exists():
        members["Procfile"] = f"web: {webcommand.guess(app)}\n".encode()
    webcommand.check(members["Procfile"].decode("utf-8-sig", errors="replace"))
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(members):
            _add(archive, app, name, members[name])
    return stream.getvalue()


def _add(archive: tarfile.TarFile, app: Path, name: str, content: bytes) -> None:
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
    """A time that depends on the content alone, between 2000 and 2017.

    Not a constant: web frameworks make a static file's ETag from its time and size, and browsers would keep the old
    file when an edit leaves the size as it was.
    """
    return 946_684_800 + int.from_bytes(hashlib.sha256(content).digest()[:4]) // 8


def _content(app: Path, name: str) -> bytes:
    path = app / name
    if not path.is_symlink():
        return path.read_bytes()
    target = path.readlink()
    if target.is_absolute() or not path.resolve().is_relative_to(app.resolve()):
        raise ArtifactError(
            f"{path} is a symbolic link that leaves the app ({target}): the server won't have its target"
        )
    return os.fsencode(target)


def _files(app: Path) -> list[str]:
    """The app's files and links, relative, without what the .gitignore files above, in and below it exclude."""
    found: list[str] = []
    specs = [(app, _spec(ALWAYS_IGNORED)), *_specs_above(app)]
    _walk(app, app, specs, found)
    return found


def _walk(app: Path, folder: Path, specs: list[tuple[Path, pathspec.GitIgnoreSpec]], found: list[str]) -> None:
    own = folder / ".gitignore"
    if own.is_file():
        specs = [*specs, (folder, _spec(own.read_text().splitlines()))]
    for entry in sorted(folder.iterdir()):
        is_folder = entry.is_dir() and not entry.is_symlink()
        if _ignored(entry, is_folder, specs):
            continue
        if is_folder:
            _walk(app, entry, specs, found)
        elif entry.is_file() or entry.is_symlink():
            found.append(entry.relative_to(app).as_posix())
        else:
            raise ArtifactError(f"{entry} is neither a file nor a folder: remove it or add it to .gitignore")


def _ignored(entry: Path, is_folder: bool, specs: list[tuple[Path, pathspec.GitIgnoreSpec]]) -> bool:
    """Git's rule: the last pattern that matches decides, and deeper files come later."""
    ignored = False
    for base, spec in specs:
        name = entry.relative_to(base).as_posix() + ("/" if is_folder else "")
        decision = spec.check_file(name).include
        if decision is not None:
            ignored = decision
    return ignored


def _specs_above(app: Path) -> list[tuple[Path, pathspec.GitIgnoreSpec]]:
    """The .gitignore files between the root of the app's git repository and the app, outermost first."""
    above = [app.resolve(), *app.resolve().parents]
    roots = [index for index, folder in enumerate(above) if (folder / ".git").exists()]
    between = above[1 : roots[0] + 1] if roots else []
    files = [folder / ".gitignore" for folder in reversed(between)]
    return [(file.parent, _spec(file.read_text().splitlines())) for file in files if file.is_file()]


def _spec(lines: tuple[str, ...] | list[str]) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines(lines)
