"""Gives root what the code of packages could change with the first boot's permissions, or an earlier version's."""

from __future__ import annotations

import os

from host import files
from host.packages import pythons, venv
from host.paths import Paths


def take_over(paths: Paths) -> None:
    """Make root the owner of uv, of the versions of Python and of all complete virtual environments."""
    folder = paths.uv.parents[1]
    if folder.is_dir() and folder.stat().st_uid != os.getuid():
        files.seal(folder)
    pythons.seal(paths)
    if paths.venvs.is_dir():
        venv.adopt(paths)
