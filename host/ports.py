"""TCP ports of the loopback interface: every process of the app gets one of its own in the variable PORT."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from host import files
from host.errors import ReleaseError
from host.paths import Paths

# Below Linux's ephemeral ports (32768), so that no outgoing connection takes one of them. The firewall lets only root
# and the app connect to them.
APP_PORTS = range(20000, 30000)
# The address at which Nginx serves a deployment that isn't switched to yet. Only root may connect to it.
CANDIDATE_PORT = 30000


def assign(paths: Paths, folder: Path) -> int:
    """The port of the process that runs in ``folder``. It stays the same until the folder is removed.

    The file ``port`` in the folder keeps it, in systemd's EnvironmentFile format.
    """
    if (port := assigned(folder)) is not None:
        return port
    taken = {assigned(other) for parent in (paths.deployments, paths.processes) for other in parent.glob("*")}
    # A random start, so that two runs hardly choose the same port.
    start = int.from_bytes(os.urandom(2)) % len(APP_PORTS)
    for port in (*APP_PORTS[start:], *APP_PORTS[:start]):
        if port not in taken and is_free(port):
            files.write(folder / "port", f"PORT={port}\n".encode(), 0o644)
            return port
    raise ReleaseError(f"all ports from {APP_PORTS[0]} to {APP_PORTS[-1]} are in use")


def assigned(folder: Path) -> int | None:
    """The port of the process that runs in ``folder``; None if an earlier version of this program made the folder."""
    with suppress(FileNotFoundError):
        return int((folder / "port").read_text().strip().removeprefix("PORT="))
    return None


def is_free(port: int) -> bool:
    """Whether nothing listens on the port, with IPv4 or IPv6."""
    both = socket.has_dualstack_ipv6()
    try:
        socket.create_server(
            ("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both
        ).close()
    except OSError:
        return False
    return True
