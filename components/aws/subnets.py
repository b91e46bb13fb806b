"""The zones and ranges of a network's two subnets. Pure functions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from components.errors import UserError

# An Application Load Balancer needs two zones.
ZONES = 2
# The longest prefix of a subnet on AWS.
LONGEST_PREFIX = 28


def ranges(cidr: str) -> list[str]:
    """The ranges of the subnets: a quarter of a large network each, which leaves room for more subnets."""
    network = ipaddress.IPv4Network(cidr)
    parts = network.subnets(new_prefix=min(network.prefixlen + 2, LONGEST_PREFIX))
    return [str(part) for part, _ in zip(parts, range(ZONES), strict=False)]


def zones(available: Iterable[str]) -> list[str]:
    """The same two of a region's zones each time."""
    return sorted(available)[:ZONES]


def one_per_zone(vpc: str, subnets: Iterable[tuple[str, str]]) -> list[str]:
    """One public subnet in each of two zones, from pairs of zone and id of an existing VPC. Raises UserError."""
    by_zone: dict[str, str] = {}
    for zone, subnet in sorted(subnets):
        by_zone.setdefault(zone, subnet)
    if len(by_zone) < ZONES:
        raise UserError(
            f"vpc is {vpc!r}, but must have subnets that give public addresses (map-public-ip-on-launch) in {ZONES}"
            f" zones, and has them in {len(by_zone)}; add them, or let Gantry create a VPC with: pulumi config rm vpc"
        )
    return [by_zone[zone] for zone in zones(by_zone)]


def in_zone(zone: str, zones: Sequence[str], subnets: Sequence[str]) -> str:
    """The subnet in ``zone``, from a list of zones and one of subnets in the same order. Raises UserError."""
    if zone not in zones:
        raise UserError(
            f"the volume is in the zone {zone}, and the stack's subnets are in {' and '.join(zones)}: a volume can't"
            " leave its zone; use the network that it was created in, or move the data (docs/data.md)"
        )
    return subnets[zones.index(zone)]
