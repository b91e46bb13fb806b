"""The name servers for machines: real ones, because a machine can't reach a stub on this computer's loopback."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from components.local.computer import LocalError

# Users write this file if machines should have other name servers than this computer.
OVERRIDE = Path("/etc/gantry/resolv.conf")
# The last two have the real name servers behind the stubs of systemd-resolved and of NetworkManager's dnsmasq.
_CANDIDATES = (
    OVERRIDE,
    Path("/etc/resolv.conf"),
    Path("/run/systemd/resolve/resolv.conf"),
    Path("/run/NetworkManager/no-stub-resolv.conf"),
)


def reachable_servers(text: str) -> list[str]:
    """The IPv4 name servers of a resolv.conf, without loopback addresses."""
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
    """A machine's resolv.conf, from the first candidate with a reachable name server. Raises LocalError without one."""
    for path in candidates:
        text = path.read_text() if path.is_file() else ""
        if servers := reachable_servers(text):
            other_lines = [line for line in text.splitlines() if line.split()[:1] in (["search"], ["options"])]
            return "\n".join([*(f"nameserver {server}" for server in servers), *other_lines]) + "\n"
    raise LocalError(
        "A machine can't reach any name server of /etc/resolv.conf",
        "It needs a name server with an IPv4 address that isn't this computer's loopback",
        f"Name one: echo 'nameserver ADDRESS' | sudo tee {OVERRIDE}",
    )
