"""Support for web processes other than Gunicorn.

Gunicorn tells systemd when the app is imported, lets Nginx use its socket, and finishes its requests before it ends.
For any other web server, a systemd drop-in calls this program, which does the same from the outside.
"""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

from host import files, systemd, times
from host.errors import ReleaseError
from host.paths import Paths

# States of a connection in /proc/net/unix: SS_CONNECTING until it is accepted, then SS_CONNECTED. They are defined in
# include/uapi/linux/net.h of the kernel.
CONNECTED = ("02", "03")
DROP_IN = f"""[Service]
Type=exec
ExecStartPre=rm -f {Paths().deployment_socket("%i")}
ExecStartPost={Paths().gantry_command} wait-until-listening %i $MAINPID
ExecStop={Paths().gantry_command} wait-until-idle %i
"""


def write_drop_in(paths: Paths, deployment: str) -> None:
    """Make systemd call this program when it starts and stops the web process of ``deployment``."""
    if files.write(_drop_ins(paths, deployment) / "listener.conf", DROP_IN.encode(), 0o644):
        systemd.systemctl("daemon-reload")


def remove_drop_in(paths: Paths, deployment: str) -> None:
    """Undo ``write_drop_in``; does nothing for a deployment with Gunicorn."""
    shutil.rmtree(_drop_ins(paths, deployment), ignore_errors=True)


def wait_until_listening(paths: Paths, deployment: str, process: int, limit: float = times.LISTEN_SECONDS) -> None:
    """Wait until the web process accepts connections, then let Nginx connect, too.

    ``process`` is the id of the web process; systemd doesn't watch it at this time. Raises ReleaseError if it ends, or
    doesn't listen within ``limit`` seconds.
    """
    path, deadline = paths.deployment_socket(deployment), time.monotonic() + limit
    while not _listens(path):
        if not Path(f"/proc/{process}").exists():
            raise ReleaseError("the web process has ended")
        if time.monotonic() >= deadline:
            raise ReleaseError(
                f"after {limit:.0f} s nothing listens on the Unix socket that GANTRY_SOCKET names, {path}"
            )
        time.sleep(0.05)
    # Some servers admit only their own user to the socket. Nginx is in the socket's group.
    path.chmod(0o660)


def wait_until_idle(
    paths: Paths, deployment: str, limit: float = times.GRACEFUL_SECONDS, table: Path = Path("/proc/net/unix")
) -> None:
    """Wait, at most ``limit`` seconds, until no client is connected to the web process."""
    # New requests already go to another deployment, and Nginx closes each connection soon after its last request.
    path, deadline = str(paths.deployment_socket(deployment)), time.monotonic() + limit
    while connections(table.read_text(), path) and time.monotonic() < deadline:
        time.sleep(0.05)


def connections(table: str, path: str) -> int:
    """The number of connections to the socket at ``path``, by the kernel's table of Unix sockets."""
    # Num RefCount Protocol Flags Type St Inode Path: net/unix/af_unix.c
    rows = [line.split() for line in table.splitlines()[1:]]
    return sum(row[5] in CONNECTED and row[7:] == [path] for row in rows)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def _drop_ins(paths: Paths, deployment: str) -> Path:
    return paths.unit_drop_ins(systemd.WEB_UNIT.format(deployment))
