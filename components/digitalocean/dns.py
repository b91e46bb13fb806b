"""The site's names in a zone that DigitalOcean serves."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_digitalocean as do

from components.target import site_names

TTL_SECONDS = 60


def point_to(
    address: pulumi.Input[str], *, zone: str, domain: str, depends_on: Sequence[pulumi.Resource]
) -> list[pulumi.Resource]:
    """Point the site's names to an address.

    The records have no parent, so they stay the same resources when another entrypoint takes over.
    """
    opts = pulumi.ResourceOptions(depends_on=depends_on)
    return [
        do.DnsRecord(name, domain=zone, type="A", name=relative(name, zone), value=address, ttl=TTL_SECONDS, opts=opts)
        for name in site_names(domain)
    ]


def relative(name: str, zone: str) -> str:
    """A name without its zone, as records have it."""
    return "@" if name == zone else name.removesuffix(f".{zone}")
