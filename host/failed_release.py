"""Removes a release that failed. After the switch, it first rolls back to the deployment that served before."""

from __future__ import annotations

from host import deployment, files, processes, state, uploads
from host.errors import ReleaseError
from host.paths import Paths


def roll_back(paths: Paths, failed: str, previous: str | None) -> str:
    """Let ``previous`` serve again and remove ``failed``. Returns "rolled back", "failed" or "stuck", for the history.

    Without ``previous`` the server serves nothing. If ``previous`` doesn't start, ``failed`` still serves.
    """
    if previous is None:
        state.serve_nothing(paths)
    else:
        try:
            # The previous deployment usually still runs. It doesn't if it ended by itself, or after a reboot.
            deployment.start(previous)
        except ReleaseError:
            return "stuck"
        state.serve(paths, previous)
    processes.roll_back(paths)
    if failed != previous:
        processes.stop(paths, failed)
        deployment.stop(failed)
        deployment.remove(paths, failed)
        _remove_release_folder(paths, failed)
    return "rolled back" if previous else "failed"


def remove(paths: Paths, failed: str) -> None:
    """Remove a deployment that failed before the switch. A current or proven deployment that was stopped stays."""
    if failed in state.needed(paths):
        return
    processes.stop(paths, failed)
    deployment.kill(failed)
    deployment.remove(paths, failed)
    _remove_release_folder(paths, failed)


def _remove_release_folder(paths: Paths, failed: str) -> None:
    """Remove the folder of a failed release, so that it isn't one of the five that are kept.

    The folder stays if the current or the proven deployment uses the same release.
    """
    release = deployment.release_of(failed)
    others = {deployment.release_of(name) for name in state.needed(paths)}
    folder = paths.releases / release
    # Without its tarball, or with a part of it, the release couldn't be unpacked again.
    if release not in others and folder.exists() and uploads.is_complete(paths.tarball(release)):
        files.remove_tree(folder)
