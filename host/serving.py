"""Which instance serves, and which one the whole fleet has agreed on."""

from __future__ import annotations

from host import files
from host.paths import Paths


def current(paths: Paths) -> str | None:
    """The instance that serves, or None before the first release."""
    return paths.current.readlink().name if paths.current.is_symlink() else None


def confirmed(paths: Paths) -> str | None:
    """The instance that the server goes back to when a rollout fails, or None before the first release."""
    return paths.confirmed.readlink().name if paths.confirmed.is_symlink() else current(paths)


def needed(paths: Paths) -> set[str]:
    """Instances whose files must stay."""
    return {name for name in (current(paths), confirmed(paths)) if name}


def serve(paths: Paths, instance: str) -> None:
    """Two links: traffic moves with the first; the second is what a reboot starts."""
    files.point(paths.socket, paths.instance_socket(instance))
    files.point(paths.current, paths.instances / instance)


def confirm(paths: Paths, instance: str) -> None:
    """From now on the server goes back to ``instance`` when a rollout fails."""
    if confirmed(paths) != instance or not paths.confirmed.is_symlink():
        files.point(paths.confirmed, paths.instances / instance)
