"""The state of the server: the current deployment, the proven deployment, and the releases that it keeps."""

from __future__ import annotations

from pathlib import Path

from host import files
from host.paths import Paths


def current(paths: Paths) -> str | None:
    """The deployment that serves, or None before the first release."""
    return _target_name(paths.current)


def proven(paths: Paths) -> str | None:
    """The deployment that a rollback returns to, or None if there is none yet.

    It is the last deployment that passed its watch and, on several servers, was confirmed by the rollout.
    """
    return _target_name(paths.proven)


def needed(paths: Paths) -> set[str]:
    """The deployments whose files and processes must stay: they serve visitors or are needed for a rollback."""
    return {name for name in (current(paths), proven(paths)) if name}


def serve(paths: Paths, deployment: str) -> None:
    """Move the traffic to ``deployment``."""
    # The first link moves the traffic; the second one only records the name.
    files.point(paths.socket, paths.deployment_socket(deployment))
    files.point(paths.current, paths.deployments / deployment)


def serve_nothing(paths: Paths) -> None:
    """From now on visitors get 503, as before the first release."""
    paths.socket.unlink(missing_ok=True)
    paths.current.unlink(missing_ok=True)


def switched_at(paths: Paths) -> float:
    """When the current deployment began to serve, in seconds since the epoch."""
    return paths.current.lstat().st_mtime


def prove(paths: Paths, deployment: str) -> None:
    """From now on a rollback returns to ``deployment``, and a reboot starts it."""
    files.point(paths.proven, paths.deployments / deployment)


def kept_releases(paths: Paths) -> list[str]:
    """The releases that the server keeps unpacked, oldest first."""
    folders = [folder for folder in paths.releases.glob("[!.]*") if folder.is_dir()]
    return [folder.name for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime)]


def _target_name(link: Path) -> str | None:
    return link.readlink().name if link.is_symlink() else None
