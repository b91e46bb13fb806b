"""Reloads Nginx, or replaces it by a new one with the same sockets, without a failed request."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from host import last_responses, listening, open_files
from host.console import say
from host.errors import ReleaseError
from host.paths import Paths
from host.waiting import wait_until

# How long an upgrade waits for the new master to start, and for the old one to finish its connections.
START_SECONDS, FINISH_SECONDS = 10.0, 60.0
# How long the workers of a reloaded Nginx may take to stop accepting.
RELOAD_SECONDS = 10.0
PID_FILE = Path("/run/nginx.pid")
# Nginx renames the file to this while the master that is replaced runs.
OLD_PID_FILE = Path("/run/nginx.pid.oldbin")


def upgrade(paths: Paths) -> None:
    """Start a new master of Nginx, then let the old one finish its connections and end.

    systemd follows the file with the master's process id. An old master that needs more than a minute is named, and
    finishes in the background. Raises ReleaseError, and the old master serves on, if the new one doesn't start, or if
    the last upgrade hasn't ended.
    """
    # https://nginx.org/en/docs/control.html#upgrade
    if before := _master(OLD_PID_FILE):
        # Until it ends, Nginx ignores the signal.
        raise ReleaseError(_unfinished(before))
    if not (old := _master()):
        raise ReleaseError("Nginx doesn't run: see sudo gantry check")
    _signal(old, signal.SIGUSR2)
    if not wait_until(lambda: _master() not in (0, old) and bool(_children(_master())), START_SECONDS):
        raise ReleaseError("Nginx doesn't start with its new code: see /var/log/nginx/error.log")
    with last_responses.ended_connections(paths):
        _signal(old, signal.SIGQUIT)
        if not wait_until(lambda: not _is_nginx(old), FINISH_SECONDS):
            say(f"  {_unfinished(old)}")


@contextmanager
def lossless_reload(paths: Paths) -> Generator[None]:
    """The caller reloads Nginx in this block. It ends when the old workers accept no more connections.

    If there are visitors, it begins when their kept connections have ended.
    """
    # A run that was killed may have left the mark.
    paths.last_responses.unlink(missing_ok=True)
    if not _connections(_master()):
        yield
        return
    workers = _children(_master())
    with last_responses.ended_connections(paths):
        yield
        # An old worker would keep a new connection open, and close it a moment later.
        if not wait_until(lambda: not any(_accepts(worker) for worker in workers), RELOAD_SECONDS):
            say(f"  Nginx still uses its old configuration after {RELOAD_SECONDS:g} s: see /var/log/nginx/error.log")


def is_finishing() -> bool:
    """Whether a replaced master still serves connections."""
    return _master(OLD_PID_FILE) > 0


def _unfinished(master: int) -> str:
    return (
        f"the Nginx with the old code (process {master}) still has {_connections(master)} connections, such as"
        f" WebSockets or long downloads: it ends with the last of them, or with `sudo kill {master}`, or in an hour"
    )


def _master(file: Path | None = None) -> int:
    """The process id of the master, or 0 if there is none, or while Nginx replaces the file."""
    try:
        process = int((file or PID_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return 0
    return process if _is_nginx(process) else 0


def _is_nginx(process: int) -> bool:
    """Whether a process is Nginx. The file of an Nginx that was killed may have the id of another program."""
    with suppress(OSError):
        return Path(f"/proc/{process}/comm").read_text() == "nginx\n"
    return False


def _signal(process: int, number: signal.Signals) -> None:
    # A process that has ended is found by what waits for its effect.
    with suppress(ProcessLookupError):
        os.kill(process, number)


def _children(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []


def _accepts(worker: str) -> bool:
    """Whether a process is a worker that isn't shutting down. Nginx says that in the process's title."""
    with suppress(OSError):
        return Path(f"/proc/{worker}/cmdline").read_bytes().strip(b"\0 ") == b"nginx: worker process"
    return False


def _connections(master: int) -> int:
    """How many connections of clients the workers of a master have."""
    sockets = set[str]()
    for worker in _children(master):
        with suppress(OSError):
            sockets |= open_files.of(Path(f"/proc/{worker}"))
    tables = [Path(f"/proc/net/{table}").read_text() for table in ("tcp", "tcp6")]
    connections = (connection for table in tables for connection in listening.tcp_connections(table))
    return sum(f"socket:[{connection.inode}]" in sockets for connection in connections)
