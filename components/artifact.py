"""From an app's folder to a tarball that is the same, byte for byte, on every machine."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pathspec

from components import processes, webcommand
from components.errors import UserError
from components.generated import write_once
from host import requirements

# Never part of an app, whatever .gitignore says. The names are those of Git, Python and its tools.
ALWAYS_IGNORED = (".git", "__pycache__", "*.py[cod]", ".venv", ".pytest_cache", ".ruff_cache", ".DS_Store")
DIGEST_DIGITS = 12
# How many packed apps stay on this computer.
KEEP = 10
_OWN_CODE = re.compile(r"^\s*(?:-e\b|--editable\b|\.|/)|^[^#]*\bfile:")


@dataclass(frozen=True)
class _Rules:
    """One .gitignore: its folder, and what it says of folders and of files."""

    folder: Path
    folders: pathspec.PathSpec[Any]
    files: pathspec.PathSpec[Any]

    @classmethod
    def of(cls, folder: Path, lines: Iterable[str]) -> _Rules:
        given = list(lines)
        # "!*/" lets folders in, and not what is in them: the walk asks for each folder and each file by itself.
        of_files = [line for line in given if not line.rstrip().endswith("/")]
        both = [pathspec.PathSpec.from_lines("gitignore", each) for each in (given, of_files)]
        return cls(folder, *both)

    def decide(self, entry: Path, is_folder: bool) -> bool | None:
        name = entry.relative_to(self.folder).as_posix()
        return self.folders.check_file(f"{name}/").include if is_folder else self.files.check_file(name).include


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
    write_once(path, content)
    path.touch()
    for old in sorted(into.glob("*.tar"), key=lambda tar: tar.stat().st_mtime)[:-KEEP]:
        old.unlink(missing_ok=True)
    return Artifact(release, path)


def tarball(app: Path) -> bytes:
    """The tarball's bytes. Not compressed: compressors differ from machine to machine, and so would the digest."""
    app = app.resolve()
    if not app.is_dir():
        raise ArtifactError(f"{app} is not a folder")
    members = {path: _content(app, path) for path in _files(app)}
    try:
        source = requirements.choose(members.get)
    except ValueError as error:
        raise ArtifactError(f"{app} can't be installed ({error}); what .gitignore excludes doesn't count") from None
    if source == requirements.LIST:
        _check_requirements(members[source])
    if "Procfile" not in members:
        members["Procfile"] = f"web: {webcommand.guess(app)}\n".encode()
    webcommand.check(_text(members["Procfile"]), configured=webcommand.GUNICORN_SETTINGS in members)
    processes.check(_text(members["Procfile"]), _text(members["app.json"]) if "app.json" in members else None)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(members):
            _add(archive, app, name, members[name])
    return stream.getvalue()


def _check_requirements(content: bytes) -> None:
    for line in _text(content).splitlines():
        if _OWN_CODE.match(line) and not line.split("#")[0].strip().endswith(".whl"):
            raise ArtifactError(
                f"requirements.txt: {line.strip()!r} builds a package from the app's own folder, which is read-only"
                " on a server: leave it out (the app's folder is on Python's path), or add its wheel"
            )


def _text(content: bytes) -> str:
    return content.decode("utf-8-sig", errors="replace")


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
    lands = os.path.normpath(Path(name).parent / target)
    if target.is_absolute() or lands.startswith("..") or not path.resolve().is_relative_to(app):
        raise ArtifactError(
            f"{path} is a symbolic link that leaves the app ({target}), and the server won't have its target:"
            " replace it by a copy, or add it to .gitignore"
        )
    if name in ("Procfile", "app.json", *requirements.NAMES):
        raise ArtifactError(f"{path} is a symbolic link: replace it by the file itself")
    return os.fsencode(target)


def _files(app: Path) -> list[str]:
    """The app's files and links, relative, without what the .gitignore files above, in and below it exclude."""
    found: list[str] = []
    _walk(app, app, _rules_above(app), found)
    return found


def _walk(app: Path, folder: Path, rules: list[_Rules], found: list[str]) -> None:
    own = folder / ".gitignore"
    if own.is_file():
        rules = [*rules, _Rules.of(folder, own.read_text().splitlines())]
    for entry in sorted(folder.iterdir()):
        is_folder = entry.is_dir() and not entry.is_symlink()
        if _ALWAYS.match_file(entry.name) or _ignored(entry, is_folder, rules):
            continue
        if is_folder:
            if not (entry / "pyvenv.cfg").exists():  # a virtual environment, whatever its name
                _walk(app, entry, rules, found)
        elif entry.is_file() or entry.is_symlink():
            found.append(entry.relative_to(app).as_posix())
        else:
            raise ArtifactError(f"{entry} is neither a file nor a folder: remove it or add it to .gitignore")


def _ignored(entry: Path, is_folder: bool, rules: list[_Rules]) -> bool:
    """Git's rule: the last pattern that matches decides, and deeper files come later."""
    decisions = [decision for each in rules if (decision := each.decide(entry, is_folder)) is not None]
    return bool(decisions) and decisions[-1]


def _rules_above(app: Path) -> list[_Rules]:
    """The .gitignore files between the root of the app's git repository and the app, outermost first."""
    above = [app, *app.parents]
    roots = [index for index, folder in enumerate(above) if (folder / ".git").exists()]
    between = above[1 : roots[0] + 1] if roots else []
    files = [folder / ".gitignore" for folder in reversed(between)]
    return [_Rules.of(file.parent, file.read_text().splitlines()) for file in files if file.is_file()]


_ALWAYS = pathspec.PathSpec.from_lines("gitignore", ALWAYS_IGNORED)
