"""Installs a release: its folder, system packages, its virtual environment, and its build for one deployment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from host import build
from host.console import Phases, phase
from host.deployment import Deployment, Folders
from host.packages import system_packages, venv
from host.paths import Paths
from host.unpack import unpack


def install(paths: Paths, release: str, variables: Mapping[str, str], *, seconds: Phases | None = None) -> Path:
    """Unpack the release and install what it needs; returns the folder of its virtual environment.

    Call ``require_space`` first. ``variables`` are the app's. The duration of each phase is added to ``seconds``.
    """
    with phase("unpack", seconds) as notes:
        notes.append(unpack(paths, release))
    system_packages.ensure(paths, paths.releases / release, seconds)
    with phase("venv", seconds) as notes:
        folder, note = venv.ensure(paths, paths.releases / release, variables)
        notes.append(note)
    return folder


def install_and_build(
    paths: Paths, deployment: Deployment, seconds: Phases | None = None, *, with_data: bool = True
) -> Folders:
    """Also build the app, if it needs a build; returns the folders to run.

    Without ``with_data`` nothing is created in /var/lib/app.
    """
    folder = install(paths, deployment.release, deployment.variables, seconds=seconds)
    return build.ensure(paths, deployment, folder, seconds=seconds, with_data=with_data)
