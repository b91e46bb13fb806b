"""Restarts the web process of the current deployment without a failed request.

A second deployment of the same release, the stand-in, serves meanwhile. At the end, everything has the names of before.
"""

from __future__ import annotations

import hashlib
import shutil
import time

from host import deployment, files, health, ports, state, systemd, times
from host.health_check import HealthCheck
from host.paths import Paths


def restart(paths: Paths) -> None:
    """Restart the web process of the current deployment: it loads the libraries that are installed now.

    The caller holds the server's lock. If this is killed, the stand-in serves until the next release, reboot or
    `gantry check --repair`. Raises ReleaseError if the app doesn't start or isn't healthy, and OSError if the disk is
    full; then the process that can serve does.
    """
    name = state.current(paths)
    assert name is not None
    stand_in, check = _stand_in(name), HealthCheck.read(paths)
    if deployment.is_active(stand_in):
        # A run that was killed left it, and it may serve.
        _start_and_check(paths, name, check)
        _serve(paths, name)
        _remove(paths, stand_in)
    try:
        _copy(paths, name, stand_in)
        _start_and_check(paths, stand_in, check)
        _serve(paths, stand_in)
    except BaseException:
        # The stand-in may serve already if this program is ended now.
        files.point(paths.socket, paths.deployment_socket(name))
        _remove(paths, stand_in)
        raise
    systemd.systemctl("stop", deployment.unit(name))
    _start_and_check(paths, name, check)
    _serve(paths, name)
    _remove(paths, stand_in)


def _stand_in(name: str) -> str:
    """The same release, with other digits."""
    return f"{deployment.release_of(name)}-{hashlib.sha256(f'stand-in of {name}'.encode()).hexdigest()[:6]}"


def _copy(paths: Paths, name: str, stand_in: str) -> None:
    """Give the stand-in the files of the deployment, and a port of its own."""
    shutil.rmtree(paths.deployments / stand_in, ignore_errors=True)
    shutil.copytree(
        paths.deployments / name, paths.deployments / stand_in, symlinks=True, ignore=shutil.ignore_patterns("port")
    )
    files.write(paths.env_files / stand_in, (paths.env_files / name).read_bytes(), 0o600)
    ports.assign(paths, paths.deployments / stand_in)


def _start_and_check(paths: Paths, name: str, check: HealthCheck) -> None:
    deployment.start(name)
    health.check_socket(paths.deployment_socket(name), check, "the restarted app")


def _serve(paths: Paths, name: str) -> None:
    """Move the traffic, without a change of the current deployment."""
    files.point(paths.socket, paths.deployment_socket(name))
    time.sleep(times.MOVED_SECONDS)


def _remove(paths: Paths, stand_in: str) -> None:
    systemd.systemctl("stop", deployment.unit(stand_in))
    deployment.remove(paths, stand_in)
