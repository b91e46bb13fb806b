"""Drains a server that was removed from the configuration of the local target's balancer."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path

from host import listening
from host.console import phase

# Nginx connects to addresses of this network, which is reserved for documentation. The firewall replaces them by the
# servers' addresses: https://www.rfc-editor.org/rfc/rfc5737
PLACES = "192.0.2.{}"
_NETWORK = socket.inet_aton(PLACES.format(0))[:3]


def drain(limit: float, table: Path = Path("/proc/net/tcp")) -> None:
    """Wait until the present connections to servers have ended, at most ``limit`` seconds.

    After that, a server that was removed from the list has no requests left.
    """
    deadline = time.monotonic() + limit
    with phase("drain") as notes:
        present = connections(table.read_text())
        while present & connections(table.read_text()):
            if time.monotonic() >= deadline:
                notes.append(f"requests of over {limit:.0f} s are cut off")
                return
            time.sleep(0.1)


def connections(table: str) -> set[str]:
    """The local ends of connections to servers, from the kernel's table of IPv4 connections."""
    return {one.local for one in listening.tcp_connections(table) if _address(one.remote)[:3] == _NETWORK}


def _address(end: str) -> bytes:
    """The address of ``0200C0AC:0050``: hex digits of an address, in the byte order of the CPU, and of a port."""
    return struct.pack("=I", int(end.partition(":")[0], 16))
