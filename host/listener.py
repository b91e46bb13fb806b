"""A web process that isn't Gunicorn. It is told where to listen; what Gunicorn does by itself is done around it.

Gunicorn says when the app is imported, lets Nginx in, and when told to stop finishes the requests that it has.
"""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

from host import files, systemd
from host.errors import ReleaseError
from host.paths import Paths

# Less than the unit's TimeoutStartSec, so that this says what is wrong.
START_SECONDS = 80.0
# What Gunicorn gives requests too: components/manifest.py. Less than the unit's TimeoutStopSec.
STOP_SECONDS = 30.0
# Of a connection that is there, in /proc/net/unix: SS_CONNECTING until it is accepted, then SS_CONNECTED, of
# include/uapi/linux/net.h of the kernel.
CONNECTED = ("02", "03")
UNIT = """[Service]
Type=exec
ExecStartPre=rm -f /run/gantry/%i.sock
ExecStartPost=/usr/local/bin/gantry listening %i $MAINPID
ExecStop=/usr/local/bin/gantry idle %i
"""


def accompany(paths: Paths, instance: str) -> None:
    """Let the unit of ``instance`` start and stop a server that isn't Gunicorn."""
    if files.write(_folder(paths, instance) / "listener.conf", UNIT.encode(), 0o644):
        systemd.systemctl("daemon-reload")


def leave_alone(paths: Paths, instance: str) -> None:
    shutil.rmtree(_folder(paths, instance), ignore_errors=True)


def wait_until_it_listens(paths: Paths, instance: str, process: int, limit: float = START_SECONDS) -> None:
    """Until somebody may connect to the instance's socket; then Nginx may, too. Raises ReleaseError.

    ``process`` is the one that is to listen: systemd itself doesn't look after it meanwhile.
    """
    path, deadline = paths.instance_socket(instance), time.monotonic() + limit
    while not _listens(path):
        if not Path(f"/proc/{process}").exists():
            raise ReleaseError("the web process has ended")
        if time.monotonic() >= deadline:
            raise ReleaseError(
                f"after {limit:.0f} s nothing listens on the Unix socket that GANTRY_SOCKET names, {path}"
            )
        time.sleep(0.05)
    # Some servers let only their own user in; Nginx is in the group.
    path.chmod(0o660)


def wait_until_it_is_idle(
    paths: Paths, instance: str, limit: float = STOP_SECONDS, table: Path = Path("/proc/net/unix")
) -> None:
    """Until nobody is connected: Nginx gives a connection up soon after its request, and traffic has moved by now."""
    path, deadline = str(paths.instance_socket(instance)), time.monotonic() + limit
    while connections(table.read_text(), path) and time.monotonic() < deadline:
        time.sleep(0.05)


def connections(table: str, path: str) -> int:
    """How many there are to the socket at ``path``, by the kernel's table of Unix sockets."""
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


def _folder(paths: Paths, instance: str) -> Path:
    return paths.units / f"gantry-web@{instance}.service.d"
