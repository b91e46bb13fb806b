"""The settings that only the target AWS knows."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from components.settings import clouds, room, validators
from components.settings.common import CommonSettings, Conflict, TargetSettings
from components.settings.declaration import Scalar, setting

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
UNHEALTHY_FROM_STATUS = 500
# Other partitions have other policies, services and accounts of images: access.py, image.py, logs.py.
_OTHER_PARTITIONS = ("us-gov-", "cn-", "us-iso")
# AWS keeps 5 addresses of a subnet, and a load balancer needs 8:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
_TAKEN_ADDRESSES = 5 + 8
# Families of the Xen system. On the others a volume is an NVMe device with the volume's id as its serial number:
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-nitro-instances.html
_WITHOUT_NVME = re.compile(r"(c1|c3|c4|cc2|cr1|d2|f1|g2|g3s?|h1|hs1|i2|i3|m[1-4]|p2|p3|r3|r4|t1|t2|x1e?)\.")


def region() -> Scalar[str]:
    """A region of the partition ``aws``."""
    form = validators.matching(r"[a-z]{2}(-[a-z]+)+-[0-9]", "a region such as eu-central-1")

    def parse(value: str) -> str:
        if value.startswith(_OTHER_PARTITIONS):
            raise ValueError(
                "must be of the partition aws, such as eu-central-1: GovCloud, China and the isolated regions have"
                " other policies, services and accounts of Debian's images"
            )
        return form.parse(value)

    return Scalar(type="string", rule=form.rule, parse=parse)


@dataclass(frozen=True, kw_only=True)
class AwsSettings(TargetSettings):
    """The settings of EC2 instances and of the resources around them."""

    region: str = setting(
        region(),
        example="eu-central-1",
        help="Region of the servers.",
        group=clouds.GROUP,
        required=True,
        secret="refused",
    )
    size: str = clouds.name(
        r"[a-z0-9-]+\.[a-z0-9-]+",
        "an instance type such as t4g.small",
        default="t4g.small",
        example="c8g.large",
        help="Instance type of each server.",
    )
    ssh_from: tuple[str, ...] = clouds.ssh_from()
    protect: bool = clouds.flag(
        help="Whether Pulumi refuses to delete the site's address, the balancer and the bucket of its access logs."
    )
    zone: str | None = clouds.optional_name(
        r"[a-z0-9-]+(\.[a-z0-9-]+)+",
        "the name of a hosted zone, such as example.org",
        example="example.org",
        help="The hosted zone that the site's domain is in. It gets records and, with a balancer, HTTPS.",
    )
    # https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html, with room for two subnets of /28
    network: str | None = clouds.network(
        "aws",
        shortest=16,
        longest=27,
        example="10.78.0.0/16",
        help="Private IPv4 network of a new VPC. Empty means 10.78.0.0/16.",
    )
    vpc: str | None = clouds.optional_name(
        r"vpc-[0-9a-f]+",
        "the id of a VPC, such as vpc-0a1b2c3d",
        example="vpc-0a1b2c3d",
        help="Id of an existing VPC with public subnets in two zones. Empty creates one.",
    )
    storage_snapshots: int = setting(
        # https://docs.aws.amazon.com/dlm/latest/APIReference/API_RetainRule.html
        validators.whole(1, 1000),
        default=7,
        example=30,
        help="How many daily snapshots of the volume (storage) are kept.",
        group=clouds.GROUP,
    )
    access_logs: bool = clouds.flag(help="Whether the balancer's access logs are kept for 90 days, in a bucket.")

    def conflicts(self, common: CommonSettings) -> Iterator[Conflict]:
        yield from clouds.network_of_existing_vpc(self.network, self.vpc)
        yield from clouds.domain_outside_zone(self.zone, common.domain)
        yield from clouds.status_the_balancer_refuses("aws", common, UNHEALTHY_FROM_STATUS)
        if self.access_logs and not common.balancer:
            yield (
                ("accessLogs", "balancer", "servers"),
                "accessLogs are logs of the balancer, and this stack has none; get one with:"
                " pulumi config set balancer true",
            )
        yield from room.no_room(common, self.network, _capacity)
        if common.storage and _WITHOUT_NVME.match(self.size):
            yield (
                ("storage", "size"),
                f"size is {self.size}, on which Gantry can't identify the volume: use a type of the Nitro system,"
                " such as t4g.small; set it with: pulumi config set size <value>",
            )

    @property
    def has_zone(self) -> bool:
        return self.zone is not None

    @property
    def balancer_has_https(self) -> bool:
        return self.has_zone


def _capacity(network: str) -> int:
    """How many servers fit into a VPC of this range, with as many replacements.

    They alternate between two subnets, each of which has a quarter of the range.
    """
    addresses = ipaddress.IPv4Network(network).num_addresses
    return 2 * ((max(addresses // 4, 16) - _TAKEN_ADDRESSES) // 2)


SETTINGS = AwsSettings
