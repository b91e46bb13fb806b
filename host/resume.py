"""Serves again after a boot."""

from __future__ import annotations

from host import deployment, disk_reserve, files, lock, mounts, probation, processes, reboot, state, systemd
from host.console import say
from host.paths import Paths

# How long to wait for a release that has taken the lock already.
WAIT_SECONDS = 900.0


def resume(paths: Paths) -> None:
    """Serve again after a boot: the proven deployment, or the current one if none is proven.

    A first release that was still on probation doesn't serve again, and nothing does without its volume.
    """
    turn = lock.exclusive(paths.lock, "`gantry resume` after a boot", WAIT_SECONDS)
    with turn, disk_reserve.available(paths):
        try:
            if mounts.is_disabled(paths, systemd.DATA_MOUNT):
                say("the volume of the app's data was unmounted for another server: the app isn't started")
                return
            serve_again(paths)
        finally:
            # A balancer gets no answer, rather than an error, until the app serves. If the app doesn't start, its unit
            # tries again, and nothing else would end the drain.
            reboot.end_drain(paths)


def serve_again(paths: Paths) -> None:
    """The same for a caller that holds the server's lock."""
    proven = state.proven(paths)
    name = proven or state.current(paths)
    if name is None or (proven is None and paths.probation.exists()):
        _resume_nothing(paths)
        return
    # A shutdown between the two links of a switch leaves them different. Nginx uses the link of the socket.
    files.point(paths.socket, paths.deployment_socket(name))
    if name != state.current(paths):
        files.point(paths.current, paths.deployments / name)
    # A reboot ends a probation, because its timer doesn't survive the reboot.
    probation.disarm(paths)
    processes.roll_back(paths)
    deployment.start(name)
    say(f"release {deployment.release_of(name)} is serving")


def _resume_nothing(paths: Paths) -> None:
    """Serve nothing: there was no release yet, or the first release was on probation."""
    state.serve_nothing(paths)
    probation.disarm(paths)
    processes.roll_back(paths)
    say("no release yet")
