"""Ports that a firewall opens, and the rules about them that all clouds share."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gantry_policy.rules import Props, Rules

SSH = 22
HTTP_AND_HTTPS = (80, 443)
# Protocols without ports, by name and by number. Every other protocol, and "all protocols", counts as one with ports.
WITHOUT_PORTS = ("icmp", "icmpv6", "1", "58")
# The shortest prefix, by IP version, of a network that can belong to one operator.
SHORTEST_PREFIX = {4: 8, 6: 32}


@dataclass(frozen=True)
class OpenPorts:
    """The ports from ``low`` to ``high``, open to ``addresses``."""

    low: int
    high: int
    addresses: tuple[str, ...]

    def includes(self, port: int) -> bool:
        return self.low <= port <= self.high

    def includes_http(self) -> bool:
        return any(self.includes(port) for port in HTTP_AND_HTTPS)

    def __str__(self) -> str:
        return f"port {self.low}" if self.low == self.high else f"port range {self.low}-{self.high}"


def add_rules(rules: Rules, *types: str, open_ports: Callable[[Props], Iterator[OpenPorts]]) -> None:
    """Adds the rules about SSH and about other ports, for resources of these types."""
    rules.add(
        name="no-ssh-from-anywhere",
        description="Only the operators' networks can reach SSH.",
        types=types,
        check=lambda props: ssh_from_anywhere(open_ports(props)),
    )
    rules.add(
        name="only-pages-are-open-to-all",
        description="Only HTTP and HTTPS are open to everyone.",
        types=types,
        check=lambda props: other_ports_from_anywhere(open_ports(props)),
    )


def ssh_from_anywhere(open_ports: Iterator[OpenPorts]) -> Iterator[str]:
    for ports in open_ports:
        if ports.includes(SSH):
            for address in filter(is_anywhere, ports.addresses):
                yield f"SSH is open to {address} ({ports}): list only your own networks in sshFrom"


def other_ports_from_anywhere(open_ports: Iterator[OpenPorts]) -> Iterator[str]:
    """Ports besides HTTP, HTTPS and SSH; SSH has a rule of its own."""
    for ports in open_ports:
        only_http = ports.low == ports.high and ports.includes_http()
        if not only_http and not ports.includes(SSH):
            for address in filter(is_anywhere, ports.addresses):
                yield f"{ports} is open to {address}: open only ports 80 and 443 to everyone"


def is_anywhere(address: str) -> bool:
    """Whether the network is too large to belong to one operator."""
    network = ipaddress.ip_network(address, strict=False)
    return network.prefixlen < SHORTEST_PREFIX[network.version]
