"""Reboots this server for an update, after a balancer has sent its visitors to other servers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NoReturn

from host import files, listening, systemd, times
from host.configure import reload_firewall
from host.console import phase
from host.errors import ReleaseError
from host.paths import Paths

# A refused connection, unlike a dropped one, lets a balancer ask the next server at once.
NO_NEW_CONNECTIONS = "tcp dport { 80, 443 } ct state new reject with tcp reset\n"
# A reboot that begins later might not have ended when the next server's slot begins.
LATEST_SECONDS = 300.0
# systemd ends this program during the shutdown. Until then, it keeps the server's lock.
SHUTDOWN_SECONDS = 120.0
# 80 and 443, as the kernel writes them after an address.
_HTTP_PORTS = (":0050", ":01BB")


def is_required(paths: Paths) -> bool:
    return paths.reboot_required.exists()


def reason(paths: Paths) -> str:
    """The packages that need the reboot."""
    if not paths.reboot_packages.exists():
        return "an update"
    return ", ".join(sorted(set(paths.reboot_packages.read_text().split())))


def drain(paths: Paths, settle: float = times.SETTLE_SECONDS) -> None:
    """Let a balancer send its requests to other servers, and wait until those that are here have ended.

    First the balancer's health checks fail. After ``settle`` seconds no new connection is accepted, until
    ``end_drain``, which `gantry resume` calls after a boot. The local target's balancer makes no checks; it asks the
    next server when a connection is refused.
    """
    with phase("drain") as notes:
        # An empty rule is this drain's mark: a server that is deleted has the file ``draining``, too.
        files.write(paths.drain_rule, b"", 0o644)
        files.write(paths.draining, b"", 0o644)
        time.sleep(settle)
        files.write(paths.drain_rule, NO_NEW_CONNECTIONS.encode(), 0o644)
        reload_firewall()
        deadline = time.monotonic() + times.GRACEFUL_SECONDS
        while open_connections():
            if time.monotonic() >= deadline:
                notes.append(f"{open_connections()} connections are still open")
                return
            time.sleep(0.1)


def end_drain(paths: Paths) -> None:
    """Accept requests again, if ``drain`` was the reason to accept none. The caller holds the server's lock."""
    if paths.drain_rule.exists():
        # First, because the rule is the mark. If this is killed, the next call repeats it.
        paths.draining.unlink(missing_ok=True)
        files.write(paths.drain_rule, b"", 0o644)
        reload_firewall()
        paths.drain_rule.unlink()


def open_connections(tables: Path = Path("/proc/net")) -> int:
    """How many visitors or balancers have a connection to Nginx, from the kernel's tables."""
    count = 0
    for table in ("tcp", "tcp6"):
        connections = listening.tcp_connections((tables / table).read_text())
        count += sum(connection.local.endswith(_HTTP_PORTS) for connection in connections)
    return count


def reboot() -> NoReturn:
    """Reboot. Only raises: ReleaseError if the shutdown hangs."""
    systemd.require("reboot")
    time.sleep(SHUTDOWN_SECONDS)
    raise ReleaseError("the server doesn't shut down: see `systemctl list-jobs`")
