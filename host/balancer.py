"""What the machine of the local target's balancer needs besides its configuration."""

from __future__ import annotations

import time
from pathlib import Path

from host.console import phase

# https://github.com/nginx/nginx/blob/release-1.26.3/src/os/unix/ngx_process_cycle.c (ngx_setproctitle)
LEAVING = "worker process is shutting down"
LIMIT_SECONDS = 60.0


def drain(limit: float = LIMIT_SECONDS, proc: Path = Path("/proc")) -> None:
    """Wait until the processes of Nginx's old configuration have ended; a server that left is then idle."""
    deadline = time.monotonic() + limit
    with phase("drain") as notes:
        while leaving(proc):
            if time.monotonic() >= deadline:
                notes.append(f"requests of over {limit:.0f} s are cut off")
                return
            time.sleep(0.1)


def leaving(proc: Path = Path("/proc")) -> bool:
    """Whether a process still answers requests that came before the last reload."""
    for process in proc.glob("[0-9]*/cmdline"):
        try:
            if LEAVING in process.read_bytes().decode(errors="replace"):
                return True
        except OSError:
            continue  # it has just ended
    return False
