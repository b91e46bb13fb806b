"""Which instance serves, which one the server goes back to, and which releases it keeps."""

from __future__ import annotations

from pathlib import Path

from host import files
from host.paths import Paths


def current(paths: Paths) -> str | None:
    """The instance that serves, or None before the first release."""
    return _named(paths.current)


def proven(paths: Paths) -> str | None:
    """The last instance that stood its watch and, of several servers, the rollout; None before there is one."""
    return _named(paths.proven)


def needed(paths: Paths) -> set[str]:
    """Instances that must stay: their files, and the processes that visitors or a way back need."""
    return {name for name in (current(paths), proven(paths)) if name}


def serve(paths: Paths, instance: str) -> None:
    """Two links: traffic moves with the first; the second tells which it is."""
    files.point(paths.socket, paths.instance_socket(instance))
    files.point(paths.current, paths.instances / instance)


def serve_nothing(paths: Paths) -> None:
    """Visitors get 503 from now on, as before the first release."""
    paths.socket.unlink(missing_ok=True)
    paths.current.unlink(missing_ok=True)


def switched(paths: Paths) -> float:
    """When what serves began to, in seconds of the epoch."""
    return paths.current.lstat().st_mtime


def prove(paths: Paths, instance: str) -> None:
    """From now on a bad release goes back to ``instance``, and a reboot starts it."""
    files.point(paths.proven, paths.instances / instance)


def kept(paths: Paths) -> list[str]:
    """The releases whose folders are there, oldest first."""
    folders = [folder for folder in paths.releases.glob("[!.]*") if folder.is_dir()]
    return [folder.name for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime)]


def _named(link: Path) -> str | None:
    return link.readlink().name if link.is_symlink() else None
