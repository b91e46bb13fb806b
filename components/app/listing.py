"""Lists the files of an app: those that git tracks or would add, without what Gantry always excludes."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from components.app import git, gitignore, ignore
from components.app.suspects import printable
from components.errors import UserError
from host import utf8

_LIST = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
_WITHOUT_GIT = "files of {} that .gitignore excludes aren't packed, even if they are committed"
# Git goes on after these warnings, and would leave files out or ignore patterns.
_SERIOUS = re.compile(r"could not open directory|unable to access '.*\.gitignore'")


@dataclass
class Listing:
    """The names of files and links, relative to the app's folder, and sentences that the user should read."""

    names: list[str]
    notes: list[str] = field(default_factory=list[str])


def app_files(app: Path) -> Listing:
    """The files of an app's folder as it is. Without a repository, .gitignore files have the same effect.

    Raises UserError for an entry that is neither a file, a link nor a folder, or that can't be read.
    """
    notes: list[str] = []
    names = sorted(set(_files(app, notes)))
    return Listing(names, notes + _checked_gitignore_files(app, names))


def checked_out_files(app: Path) -> Listing:
    """All files of a checkout of a revision: git has them, so no .gitignore excludes them."""
    return Listing(sorted(ignore.walk_all(app)))


def _files(app: Path, notes: list[str]) -> list[str]:
    top = git.top_of(app)
    if top is None:
        return ignore.walk(app)
    try:
        output = git.read(app, top, *_LIST)
    except FileNotFoundError:
        notes.append(f"git isn't installed, so {_WITHOUT_GIT.format(app)}")
        return ignore.walk(app)
    if not output.succeeded:
        reason = output.error.partition("\n")[0]
        notes.append(f"git can't read the repository at {top} ({reason}), so {_WITHOUT_GIT.format(app)}")
        return ignore.walk(app)
    _refuse_warnings(app, output.error)
    listed = [os.fsdecode(name).rstrip("/") for name in output.stdout.split(b"\0") if name]
    if not listed:
        _explain_empty(app, top)
    names = list(_packable(app, listed))
    _refuse_special_files(app, top, names)
    return [inner for name in names for inner in _with_nested(app, name, notes)]


def _with_nested(app: Path, name: str, notes: list[str]) -> list[str]:
    """The name itself; or the files of a folder, which is another repository, such as a submodule."""
    path = app / name
    if not stat.S_ISDIR(path.lstat().st_mode):
        return [name]
    nested = _files(path, notes) if os.path.lexists(path / ".git") else ignore.walk(path)
    if not nested and not any(path.iterdir()):
        notes.append(
            f"the submodule {printable(name)} of {app} is empty, so the server won't have its files: get them with:"
            f" git -C {shlex.quote(str(app))} submodule update --init {shlex.quote(name)}"
        )
    return [f"{name}/{inner}" for inner in nested]


def _refuse_warnings(app: Path, error: str) -> None:
    serious = [line for line in error.splitlines() if _SERIOUS.search(line)]
    if serious:
        reason = serious[0].removeprefix("warning: ")
        raise UserError(
            f"git can't list all files of {app} ({reason}): change the permissions, or add it to .gitignore"
        )


def _explain_empty(app: Path, top: Path) -> None:
    """Raises UserError if the app has no files because its own folder is ignored."""
    output = git.read(app, top, "check-ignore", "--verbose", "--no-index", "--", ".")
    if output.succeeded:
        source = os.fsdecode(output.stdout).partition("\t")[0]
        raise UserError(
            f"git ignores the whole folder {app} because of a pattern in {source} ({top}): change the pattern, or"
            " put the app into a repository of its own with: git init"
        )


def _checked_gitignore_files(app: Path, names: list[str]) -> list[str]:
    """Sentences about patterns that can't match what their author meant. Raises UserError for a file in UTF-16.

    The files for this repository and for all of the user's repositories count, too.
    """
    top = git.top_of(app) or app
    above = [folder / ".gitignore" for folder in app.parents if folder.is_relative_to(top)]
    inside = [app / name for name in names if name.rpartition("/")[2] == ".gitignore"]
    outside = [git.common_folder(top) / "info/exclude", git.global_excludes()]
    files = [file for file in (*outside, *above, *inside) if file.is_file() and not file.is_symlink()]
    return [
        f"{file}, line {pattern.line}: the pattern isn't in UTF-8, and git compares bytes, so it matches no name in"
        " UTF-8: save the file as UTF-8"
        for file in files
        for pattern in gitignore.read(file)
        if not utf8.is_valid(pattern.text)
    ]


def _refuse_special_files(app: Path, top: Path, names: list[str]) -> None:
    """Raises UserError for a pipe, socket or device. Git doesn't list them, so they would be left out in silence."""
    folders = sorted({name.rpartition("/")[0] for name in names} | {""})
    found = [entry for folder in folders for entry in os.scandir(app / folder) if _is_special(entry)]
    if found:
        stdin = b"\0".join(os.fsencode(entry.path) for entry in found)
        ignored = git.read(app, top, "check-ignore", "-z", "--stdin", stdin=stdin).stdout.split(b"\0")
        for entry in found:
            if os.fsencode(entry.path) not in ignored and not ignore.is_always_ignored(entry.name):
                raise ignore.special(Path(entry.path))


def _is_special(entry: os.DirEntry[str]) -> bool:
    return not (entry.is_symlink() or entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False))


def _packable(app: Path, names: list[str]) -> Iterator[str]:
    """Leaves out what has been deleted, what is never packed, and virtual environments of any name."""
    packable: dict[str, bool] = {"": True}

    def is_packable(folder: str) -> bool:
        if folder not in packable:
            parent, _, own = folder.rpartition("/")
            path = app / folder
            packable[folder] = (
                is_packable(parent)
                and not ignore.is_always_ignored(own)
                and path.is_dir()
                and not path.is_symlink()  # git's index may have files of a folder that is a link now
                and not ignore.is_virtual_environment(path)
            )
        return packable[folder]

    for name in dict.fromkeys(names):  # during a merge, git lists a file more than once
        folder, _, own = name.rpartition("/")
        if is_packable(folder) and not ignore.is_always_ignored(own) and os.path.lexists(app / name):
            yield name
