"""The settings of servers in a cloud: which target knows which, and what each must be. Pure functions."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

TARGETS = ("aws", "digitalocean")
# https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html, with room for two subnets of /28;
# https://docs.digitalocean.com/products/networking/vpc/details/limits/
_LENGTHS = {"aws": (16, 27), "digitalocean": (16, 28)}
# AWS's other partitions have other policies, accounts and services: components/aws/access.py, image.py, logs.py
_ELSEWHERE = ("us-gov-", "cn-", "us-iso")
# What is shorter than this is no place where an operator sits, but a part of the internet.
_WIDEST = {4: 8, 6: 32}
# What a balancer there can take for a good answer.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
# https://docs.digitalocean.com/products/networking/load-balancers/details/features/
_HEALTHY_BELOW = {"aws": 500, "digitalocean": 400}


@dataclass(frozen=True, kw_only=True)
class CloudSettings:
    """What only a cloud needs to know."""

    region: str | None = None
    size: str | None = None
    ssh_from: tuple[str, ...] = ()
    protect: bool = False
    zone: str | None = None
    vpc: str | None = None
    access_logs: bool = False
    backups: bool = False
    ssh_key: str | None = None


# The targets that know a setting; a setting that isn't here is known to all.
KNOWN_TO = {
    "region": TARGETS,
    "size": TARGETS,
    "sshFrom": TARGETS,
    "protect": TARGETS,
    "zone": TARGETS,
    "vpc": TARGETS,
    "accessLogs": ("aws",),
    "backups": ("digitalocean",),
    "sshKey": ("digitalocean",),
}
_FORMS = {
    ("aws", "region"): (r"[a-z]{2}(-[a-z]+)+-[0-9]", "a region such as eu-central-1"),
    ("digitalocean", "region"): (r"[a-z]{3}[0-9]", "a region such as fra1"),
    ("aws", "size"): (r"[a-z0-9-]+\.[a-z0-9-]+", "an instance type such as t4g.small"),
    ("digitalocean", "size"): (r"[a-z0-9-]+", "a droplet's size such as s-1vcpu-1gb"),
    ("aws", "vpc"): (r"vpc-[0-9a-f]+", "the id of a VPC, such as vpc-0a1b2c3d"),
    ("digitalocean", "vpc"): (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "the UUID of a VPC"),
    ("aws", "zone"): (r"[a-z0-9-]+(\.[a-z0-9-]+)+", "the name of a hosted zone, such as example.org"),
    ("digitalocean", "zone"): (r"[a-z0-9-]+(\.[a-z0-9-]+)+", "a domain that DigitalOcean serves, such as example.org"),
    ("digitalocean", "sshKey"): (
        r"([0-9a-f]{2}:){15}[0-9a-f]{2}|[0-9]+",
        "the fingerprint or id of a key that is there",
    ),
}


def set_values(given: CloudSettings) -> dict[str, object]:
    """The settings that aren't as by default, by key."""
    values: dict[str, object] = {
        "region": given.region,
        "size": given.size,
        "sshFrom": given.ssh_from,
        "protect": given.protect,
        "zone": given.zone,
        "vpc": given.vpc,
        "accessLogs": given.access_logs,
        "backups": given.backups,
        "sshKey": given.ssh_key,
    }
    return {key: value for key, value in values.items() if value}


def mistakes(
    target: str,
    given: CloudSettings,
    *,
    domain: str | None,
    network: str | None,
    balancer: bool,
    health_status: int | None,
) -> list[str]:
    """What doesn't go together, or not with ``target``."""
    found = list(_unknown(target, given))
    if target in TARGETS:
        found += [*_missing(target, given), *_malformed(target, given), *_elsewhere(target, given)]
        found += [*_range(target, given, network), *_names(given, domain), *_logs(target, given, balancer)]
        found += [*_status(target, balancer, health_status)]
    return found


def ssh_from(given: object) -> tuple[tuple[str, ...], list[str]]:
    """The networks that may reach SSH, and what is wrong with them."""
    if not isinstance(given, list):
        return (), ["sshFrom must be a list; set it with: pulumi config set --path 'sshFrom[0]' <network>"]
    found: list[str] = []
    wrong: list[str] = []
    for number, each in enumerate(cast(list[object], given)):
        network, broken = _network(each)
        found.append(network or str(each))
        if broken:
            key = f"sshFrom[{number}]"
            wrong.append(f"{key} is {each!r}, but {broken}; set it with: pulumi config set --path '{key}' <network>")
    return tuple(dict.fromkeys(found)), wrong


def _network(value: object) -> tuple[str | None, str]:
    try:
        network = ipaddress.ip_network(str(value))
    except ValueError as error:
        return None, f"must be a network such as 203.0.113.7/32 ({error})"
    if network.prefixlen < _WIDEST[network.version]:
        shortest = f"/{_WIDEST[network.version]}"
        return (
            None,
            f"must be the networks that you come from, each {shortest} or smaller: SSH is never open to the world",
        )
    return str(network), ""


def _unknown(target: str, given: CloudSettings) -> Iterator[str]:
    for key in set_values(given):
        if target not in KNOWN_TO[key]:
            known = " and ".join(KNOWN_TO[key])
            yield f"{key} is a setting of target {known}, not of {target}; remove it with: pulumi config rm {key}"


def _missing(target: str, given: CloudSettings) -> Iterator[str]:
    if not given.region:
        example = _FORMS[target, "region"][1]
        yield f"region is needed by target {target}: {example}; set it with: pulumi config set region <value>"
    if not given.ssh_from:
        yield (
            f"sshFrom is needed by target {target}: the networks that may reach SSH, this computer's among them;"
            " set it with: pulumi config set --path 'sshFrom[0]' <network>"
        )


def _malformed(target: str, given: CloudSettings) -> Iterator[str]:
    values = set_values(given)
    for (cloud, key), (pattern, rule) in _FORMS.items():
        if cloud == target and key in values and not re.fullmatch(pattern, str(values[key])):
            yield f"{key} is {values[key]!r}, but must be {rule}; set it with: pulumi config set {key} <value>"


def _elsewhere(target: str, given: CloudSettings) -> Iterator[str]:
    if target == "aws" and given.region and given.region.startswith(_ELSEWHERE):
        yield (
            f"region is {given.region!r}, but must be of the partition aws, such as eu-central-1: GovCloud, China and"
            " the isolated regions have other policies, services and accounts of Debian's images;"
            " set it with: pulumi config set region <value>"
        )


def _range(target: str, given: CloudSettings, network: str | None) -> Iterator[str]:
    if network is None:
        return
    low, high = _LENGTHS[target]
    if given.vpc:
        yield "network is the range of a VPC that is made, but vpc names one that is there; remove one of them"
    elif not low <= ipaddress.ip_network(network).prefixlen <= high:
        yield (
            f"network must be from /{low} to /{high} on target {target}; set it with: pulumi config set network <value>"
        )


def _names(given: CloudSettings, domain: str | None) -> Iterator[str]:
    zone = given.zone
    if zone and (domain is None or not f".{domain}".endswith(f".{zone}")):
        yield (
            f"domain is {'in another zone' if domain else 'empty'}, but must be {zone} (the setting zone) or in it;"
            " set it with: pulumi config set domain <value>"
        )


def _logs(target: str, given: CloudSettings, balancer: bool) -> Iterator[str]:
    if target == "aws" and given.access_logs and not balancer:
        yield "accessLogs are the balancer's, and there is none; get one with: pulumi config set balancer true"


def _status(target: str, balancer: bool, health_status: int | None) -> Iterator[str]:
    limit = _HEALTHY_BELOW[target]
    if balancer and health_status and health_status >= limit:
        yield (
            f"healthStatus is {health_status}, but must be below {limit}: the balancer of target {target} takes nothing"
            " else for healthy; set it with: pulumi config set healthStatus <value>"
        )
