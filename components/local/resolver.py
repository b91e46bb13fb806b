"""Which name servers a machine can use: the host's real ones, not a stub that only the host reaches."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from components.local.host import LocalError

# Written by a person who wants other name servers in machines than the host's.
OVERRIDE = Path("/etc/gantry/resolv.conf")
# The real name servers behind the stub of systemd-resolved and of NetworkManager's dnsmasq.
_CANDIDATES = (
    OVERRIDE,
    Path("/etc/resolv.conf"),
    Path("/run/systemd/resolve/resolv.conf"),
    Path("/run/NetworkManager/no-stub-resolv.conf"),
)


def reachable_servers(text: str) -> list[str]:
    """The IPv4 name servers of a resolv.conf that aren't the host's own loopback."""
    servers: list[str] = []
    for words in (line.split() for line in text.splitlines()):
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                address = ipaddress.IPv4Address(words[1])
            except ValueError:
                continue
            if not address.is_loopback:
                servers.append(str(address))
    return servers


def resolv_conf(candidates: tuple[Path, ...] = _CANDIDATES) -> str:
    for path in candidates:
        text = path.read_text() if path.is_file() else ""
        if servers := reachable_servers(text):
            kept = [line for line in text.splitlines() if line.split()[:1] in (["search"], ["options"])]
            return "\n".join([*(f"nameserver {server}" for server in servers), *kept]) + "\n"
    raise LocalError(
        "No name server in /etc/resolv.conf can be reached from a machine",
        "A machine needs a name server with an IPv4 address other than the host's own loopback",
        f"Name one: echo 'nameserver ADDRESS' | sudo tee {OVERRIDE}",
    )
