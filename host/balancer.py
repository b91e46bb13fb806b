"""What the machine of the local target's balancer needs besides its configuration."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path

from host.console import phase

# What Nginx connects to in place of servers: https://www.rfc-editor.org/rfc/rfc5737
PLACES = socket.inet_aton("192.0.2.0")[:3]
LIMIT_SECONDS = 60.0


def drain(limit: float = LIMIT_SECONDS, table: Path = Path("/proc/net/tcp")) -> None:
    """Wait until the connections to servers that are there now have ended; a server that was taken out is then idle."""
    deadline = time.monotonic() + limit
    with phase("drain") as notes:
        there = connections(table.read_text())
        while there & connections(table.read_text()):
            if time.monotonic() >= deadline:
                notes.append(f"requests of over {limit:.0f} s are cut off")
                return
            time.sleep(0.1)


def connections(table: str) -> set[str]:
    """The local ends of connections to servers, from the kernel's table of IPv4 connections."""
    # https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "01" and _address(row[2])[:3] == PLACES}


def _address(end: str) -> bytes:
    """``0200C0AC:0050`` is an address as the kernel keeps it in memory, and a port."""
    return struct.pack("=I", int(end.partition(":")[0], 16))
