"""Installs a release: its folder and its virtual environment."""

from __future__ import annotations

from pathlib import Path

from host import venv
from host.console import phase
from host.paths import Paths
from host.unpack import unpack


def install(paths: Paths, release: str, seconds: dict[str, float] | None = None) -> Path:
    """Unpack the release and install its packages; returns the folder of its virtual environment.

    The caller has called ``require_space``. The durations are stored in ``seconds``.
    """
    with phase("unpack", seconds) as notes:
        notes.append(unpack(paths, release))
    with phase("venv", seconds) as notes:
        folder, note = venv.ensure(paths, paths.releases / release)
        notes.append(note)
    return folder
