"""Where a network's two subnets are. Pure functions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from components.errors import UserError

# An Application Load Balancer needs two zones.
ZONES = 2
# The smallest that AWS makes.
LONGEST = 28


def ranges(cidr: str) -> list[str]:
    """The ranges of the subnets: a quarter of the network each where it is large enough, which leaves room for more."""
    network = ipaddress.IPv4Network(cidr)
    parts = network.subnets(new_prefix=min(network.prefixlen + 2, LONGEST))
    return [str(part) for part, _ in zip(parts, range(ZONES), strict=False)]


def zones(available: Iterable[str]) -> list[str]:
    """The same two of a region's zones each time."""
    return sorted(available)[:ZONES]


def one_a_zone(vpc: str, subnets: Iterable[tuple[str, str]]) -> list[str]:
    """Of a given VPC's public subnets, as (zone, id), one in each of two zones. Raises UserError."""
    by_zone: dict[str, str] = {}
    for zone, subnet in sorted(subnets):
        by_zone.setdefault(zone, subnet)
    if len(by_zone) < ZONES:
        raise UserError(
            f"vpc is {vpc!r}, but must have subnets that give public addresses (map-public-ip-on-launch) in {ZONES}"
            f" zones, and has them in {len(by_zone)}; add them, or let one be made with: pulumi config rm vpc"
        )
    return [by_zone[zone] for zone in zones(by_zone)]
