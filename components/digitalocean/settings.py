"""The settings that only the target DigitalOcean knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from components.settings import clouds, room
from components.settings.common import CommonSettings, Conflict, TargetSettings

# https://docs.digitalocean.com/products/networking/load-balancers/details/features/
UNHEALTHY_FROM_STATUS = 400


@dataclass(frozen=True, kw_only=True)
class DigitalOceanSettings(TargetSettings):
    """The settings of droplets and of the resources around them."""

    region: str = clouds.name(
        r"[a-z]{3}[0-9]", "a region such as fra1", example="fra1", help="Region of the servers.", required=True
    )
    size: str = clouds.name(
        r"[a-z0-9-]+",
        "a droplet's size such as s-1vcpu-1gb",
        default="s-1vcpu-1gb",
        example="s-2vcpu-4gb",
        help="Size of each droplet.",
    )
    ssh_from: tuple[str, ...] = clouds.ssh_from()
    protect: bool = clouds.flag(help="Whether Pulumi refuses to delete the site's address and the balancer.")
    zone: str | None = clouds.optional_name(
        r"[a-z0-9-]+(\.[a-z0-9-]+)+",
        "a domain that DigitalOcean serves, such as example.org",
        example="example.org",
        help="The domain at DigitalOcean that the site's domain is in. It gets records and, with a balancer, HTTPS.",
    )
    # https://docs.digitalocean.com/products/networking/vpc/details/limits/
    network: str | None = clouds.network(
        "digitalocean",
        shortest=16,
        longest=28,
        example="10.110.0.0/20",
        help="Private IPv4 network of a new VPC. Empty lets DigitalOcean pick one.",
    )
    vpc: str | None = clouds.optional_name(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "the UUID of a VPC",
        example="5a4981aa-9653-4bd1-bef5-d6bff52042e4",
        help="UUID of an existing VPC to use. Empty creates one.",
    )
    backups: bool = clouds.flag(help="Whether DigitalOcean backs the droplets' disks up weekly.")
    ssh_key: str | None = clouds.optional_name(
        r"([0-9a-f]{2}:){15}[0-9a-f]{2}|[0-9]+",
        "the fingerprint or id of a key of the account",
        example="3b:16:bf:e4:8b:00:8b:b8:59:8c:a9:d3:f0:19:45:fa",
        help="Fingerprint or id of an SSH key of the account, for root. Empty uploads the stack's key.",
    )

    def conflicts(self, common: CommonSettings) -> Iterator[Conflict]:
        yield from clouds.network_of_existing_vpc(self.network, self.vpc)
        yield from clouds.domain_outside_zone(self.zone, common.domain)
        yield from clouds.status_the_balancer_refuses("digitalocean", common, UNHEALTHY_FROM_STATUS)
        yield from room.no_room(common, self.network, room.without_subnets)

    @property
    def has_zone(self) -> bool:
        return self.zone is not None

    @property
    def balancer_has_https(self) -> bool:
        return self.has_zone


SETTINGS = DigitalOceanSettings
