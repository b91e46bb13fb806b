"""Checks the symbolic links of an app: the server has only what is packed."""

from __future__ import annotations

import errno
import os
import posixpath
import shlex
from pathlib import Path

from components.app.suspects import printable
from components.errors import UserError


class LinkError(UserError):
    """A link can't be packed; the text says why and what to do."""


def target_of(app: Path, name: str) -> str:
    """The target of a link within the app; raises LinkError."""
    path = app / name
    target = str(path.readlink())
    if _is_loop(path):
        raise LinkError(
            f"{path} is a symbolic link that leads back to itself ({target}): remove it, or add it to .gitignore"
        )
    destination = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    leaves = posixpath.isabs(target) or destination.partition("/")[0] == ".."
    if posixpath.isabs(target) and Path(os.path.realpath(path)).is_relative_to(app):
        relative = os.path.relpath(os.path.realpath(path), path.parent)
        raise LinkError(
            f"{path} is a symbolic link with an absolute target ({target}), which the server won't have: write a"
            f" relative one with: ln -sfn {shlex.quote(relative)} {shlex.quote(str(path))}"
        )
    if leaves or not Path(os.path.realpath(path)).is_relative_to(app):
        raise LinkError(
            f"{path} is a symbolic link that leaves the app ({target}), and the server won't have its target:"
            " replace it by a copy, or add it to .gitignore"
        )
    return target


def notes(app: Path, links: list[str], names: list[str]) -> list[str]:
    """Sentences about links, among the packed names, to files and folders that aren't packed."""
    packed = {*names, *(folder.as_posix() for name in names for folder in Path(name).parents)} if links else set[str]()
    broken = [name for name in links if os.path.relpath(os.path.realpath(app / name), app) not in packed]
    return [
        f"the symbolic link {printable(name)} leads to {printable(str((app / name).readlink()))}, which isn't packed:"
        " it will be broken on the server"
        for name in broken
    ]


def _is_loop(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False
