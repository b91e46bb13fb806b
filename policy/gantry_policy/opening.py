"""What a firewall lets in."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

SSH = 22
PAGES = (80, 443)
# By name and by number. Whatever else there is, and all protocols together, is taken for one with ports.
WITHOUT_PORTS = ("icmp", "icmpv6", "1", "58")
# A shorter prefix is no place where someone sits, but a part of the internet.
WIDEST = {4: 8, 6: 32}


@dataclass(frozen=True)
class Opening:
    """Ports from ``low`` to ``high``, for these addresses."""

    low: int
    high: int
    addresses: tuple[str, ...]

    def admits(self, port: int) -> bool:
        return self.low <= port <= self.high

    def has_pages(self) -> bool:
        return any(self.admits(port) for port in PAGES)

    def ports(self) -> str:
        return f"port {self.low}" if self.low == self.high else f"range {self.low}-{self.high}"


def ssh_from_anywhere(openings: Iterator[Opening]) -> Iterator[str]:
    for each in openings:
        if each.admits(SSH):
            for address in filter(is_anywhere, each.addresses):
                yield f"{each.ports()} is open to {address}, SSH among them: name your own networks in sshFrom"


def more_than_pages_from_anywhere(openings: Iterator[Opening]) -> Iterator[str]:
    for each in openings:
        only_pages = each.low == each.high and each.has_pages()
        if not only_pages and not each.admits(SSH):
            for address in filter(is_anywhere, each.addresses):
                yield f"{each.ports()} is open to {address}: open 80 and 443 alone to everyone"


def is_anywhere(address: str) -> bool:
    network = ipaddress.ip_network(address, strict=False)
    return network.prefixlen < WIDEST[network.version]
