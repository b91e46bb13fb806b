"""Names of the site in a zone that DigitalOcean serves."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_digitalocean as do

from components.target import site_names

TTL_SECONDS = 60


def lead(zone: str, domain: str, address: pulumi.Input[str], after: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
    """Lead the site's names to an address.

    The records are nobody's children: so they are the same when something else comes in front of the servers.
    """
    opts = pulumi.ResourceOptions(depends_on=after)
    return [
        do.DnsRecord(each, domain=zone, type="A", name=relative(each, zone), value=address, ttl=TTL_SECONDS, opts=opts)
        for each in site_names(domain)
    ]


def relative(name: str, zone: str) -> str:
    """What the zone calls a name in it."""
    return "@" if name == zone else name.removesuffix(f".{zone}")
