"""A release's folder and its virtual environment."""

from __future__ import annotations

from pathlib import Path

from host import environment
from host.console import phase
from host.paths import Paths
from host.unpack import unpack


def install(paths: Paths, release: str, times: dict[str, float] | None = None) -> Path:
    """Have both, for which ``require_space`` found room; returns the virtual environment."""
    with phase("unpack", times) as notes:
        notes.append(unpack(paths, release))
    with phase("environment", times) as notes:
        venv, done = environment.environment(paths, paths.releases / release)
        notes.append(done)
    return venv
