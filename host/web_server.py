"""What systemd calls when it starts and stops a web process: any server, on the deployment's socket or on its port.

Nginx follows a symbolic link to the deployment's Unix socket (``Paths.deployment_socket``). A server may listen there
itself. If it listens on its TCP port, systemd-socket-proxyd forwards from that path to the port.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from host import files, listening, port_line, ports, procfile, systemd, times
from host.errors import ReleaseError
from host.paths import Paths

# States of a connection in /proc/net/unix: SS_CONNECTING until it is accepted, then SS_CONNECTED. They are defined in
# include/uapi/linux/net.h of the kernel.
CONNECTED = ("02", "03")
# A server that listens elsewhere and does nothing for this long won't listen on its port or its socket any more.
IDLE_SECONDS = 1.5
# A server that is busy for less of its time does nothing: some look at their files once a second.
IDLE_SHARE = 0.1
_PAUSE_SECONDS = 0.02


def wait_until_listening(paths: Paths, deployment: str, process: int) -> None:
    """Wait until the web process listens on the deployment's socket or port, and let Nginx connect.

    ``process`` is the id of the web process, or 0 if it has ended; systemd doesn't watch it at this time, but limits
    the time. Raises ReleaseError if the process ends or listens elsewhere.
    """
    path, port = paths.deployment_socket(deployment), ports.assigned(paths.deployments / deployment)
    # This program is in the unit's group, too.
    unit = listening.Group.name_of(process) or listening.Group.name_of(os.getpid())
    elsewhere = _Elsewhere(process)
    while True:
        # First, because a server in the background may listen already: systemd ends it with the web process.
        user = listening.user_of(process)
        if user is None:
            raise ReleaseError(_ended(deployment, listening.Group.named(unit)))
        if listening.accepts_unix(path):
            _admit_nginx(path)
            forward_file(paths, deployment).unlink(missing_ok=True)
            return
        if port and (address := listening.reachable_address(port, user)):
            _forward(paths, deployment, address=address, port=port)
            return
        if places := elsewhere.places():
            raise ReleaseError(_wrong_place(places, _command(paths, deployment)))
        time.sleep(_PAUSE_SECONDS)


def _admit_nginx(path: Path) -> None:
    """Let the group of the socket connect, in which Nginx is: some servers admit only their own user."""
    # The app can write to this folder. Root must not change the mode of what a link of the app points to.
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            Path(f"/proc/self/fd/{descriptor}").chmod(0o660)
    finally:
        os.close(descriptor)


@dataclass
class _Elsewhere:
    """Finds out that a web process serves on another port or socket: it listens there, and is idle."""

    process: int
    _seen: list[int | str] = field(default_factory=list[int | str])
    _busy: float = 0.0
    _since: float = field(default_factory=time.monotonic)

    def places(self) -> list[int | str]:
        """The ports and paths once that is certain. An app may open a port for its metrics and import for long."""
        if time.monotonic() < self._since + IDLE_SECONDS:
            return []
        group = listening.Group.of(self.process)
        seen, busy = group.listens_on(), group.seconds_busy()
        idle = busy - self._busy < IDLE_SHARE * (time.monotonic() - self._since)
        if seen and seen == self._seen and idle:
            return seen
        self._seen, self._busy, self._since = seen, busy, time.monotonic()
        return []


def _ended(deployment: str, left: listening.Group) -> str:
    if left.processes:
        return (
            "the web process has ended, but programs that it started still run: they must stay in the foreground. Take"
            " '&', setsid, --daemon or -D out of the command in the Procfile"
        )
    end = systemd.show(systemd.WEB_UNIT.format(deployment), "ExecMainCode", "ExecMainStatus")
    if end.get("ExecMainStatus") == "0":
        return (
            "the web process has ended without an error, but a web server must run until it is stopped. For a WSGI app,"
            " write a line such as 'web: gunicorn app:app' into the Procfile"
        )
    return f"the web process has ended{systemd.end_of(end.get('ExecMainCode'), end.get('ExecMainStatus', ''))}"


def _wrong_place(places: list[int | str], command: str) -> str:
    """The error for a web process that listens elsewhere; ``command`` is that of the Procfile, or ""."""
    names = " and ".join(f"port {place}" if isinstance(place, int) else str(place) for place in places)
    if line := port_line.corrected(command, places):
        remedy = f"In the Procfile, write 'web: {line}'"
    elif port_line.is_of_the_app(command):
        remedy = (
            "Gunicorn has the right address, but the app starts a server while Gunicorn imports it: write that call,"
            " such as app.run(), below the line 'if __name__ == \"__main__\":'"
        )
    else:
        remedy = (
            "Where the program or its settings name the port, write the variable instead: $PORT in the Procfile, for"
            " example 'web: gunicorn -b 0.0.0.0:$PORT app:app', or port=int(os.environ[\"PORT\"]) in Python"
        )
    return (
        f"the web process listens on {names}, but must listen on the port in the variable PORT or on the Unix socket in"
        f" GANTRY_SOCKET: each release has its own, because two run side by side. {remedy}"
    )


def _command(paths: Paths, deployment: str) -> str:
    """The web line of a deployment; empty if its release can't be read."""
    with suppress(OSError, ValueError, KeyError):
        return procfile.read(paths.releases / deployment.partition("-")[0])["web"]
    return ""


def _forward(paths: Paths, deployment: str, *, address: str, port: int) -> None:
    """Let systemd forward connections from the deployment's socket to the port."""
    # systemd-socket-proxyd takes what is before the last colon for the address, also for IPv6.
    target = f"{address}:{port}"
    if files.write(forward_file(paths, deployment), f"TARGET={target}\n".encode(), 0o644):
        systemd.systemctl("stop", systemd.PORT_SERVICE.format(deployment))
    socket = systemd.PORT_SOCKET.format(deployment)
    result = systemd.systemctl("start", socket)
    if result.returncode != 0:
        raise ReleaseError(f"{socket} doesn't start: {result.stderr.strip()}")
    files.point(paths.deployment_socket(deployment), paths.port_socket(deployment))


def forward_file(paths: Paths, deployment: str) -> Path:
    """The file with the address to forward to, for systemd; it exists if the web process listens on a port."""
    return paths.deployments / deployment / "forward"


def wait_until_idle(
    paths: Paths, deployment: str, limit: float = times.DRAIN_SECONDS, table: Path = Path("/proc/net/unix")
) -> None:
    """Wait, at most ``limit`` seconds, until no client is connected to the web process."""
    # New requests already go to another deployment, and Nginx closes each connection soon after its last request.
    sockets = {str(paths.deployment_socket(deployment)), str(paths.port_socket(deployment))}
    deadline = time.monotonic() + limit
    while connections(table.read_text(), sockets) and time.monotonic() < deadline:
        time.sleep(0.05)


def connections(table: str, sockets: set[str]) -> int:
    """The number of connections to the sockets at these paths, by the kernel's table of Unix sockets."""
    # Num RefCount Protocol Flags Type St Inode Path: net/unix/af_unix.c
    rows = [line.split() for line in table.splitlines()[1:]]
    return sum(row[5] in CONNECTED and not sockets.isdisjoint(row[7:]) for row in rows)


def remove_files(paths: Paths, deployment: str) -> None:
    """Delete the sockets and the crash record of a web process that has ended, and the drop-in of earlier versions."""
    # In place of each, the app may have made something else.
    for path in (paths.deployment_socket(deployment), paths.port_socket(deployment), paths.crash_record(deployment)):
        files.discard(path)
    shutil.rmtree(paths.unit_drop_ins(systemd.WEB_UNIT.format(deployment)), ignore_errors=True)
