"""Settings and checks that more than one cloud has."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import cast

from components.settings import validators
from components.settings.common import SERVERS, CommonSettings, Conflict
from components.settings.declaration import Structured, setting

GROUP = "Clouds"
# A network with a shorter prefix is too large to belong to one operator.
_SHORTEST_PREFIX = {4: 8, 6: 32}


def name(pattern: str, rule: str, *, example: str, help: str, default: str = "", required: bool = False) -> str:
    """The declaration of a name at the cloud; ``rule`` says in words what ``pattern`` matches."""
    return setting(
        validators.matching(pattern, rule),
        default=default,
        example=example,
        help=help,
        group=GROUP,
        required=required,
        secret="refused",
    )


def optional_name(pattern: str, rule: str, *, example: str, help: str) -> str | None:
    """The same for a name that may be empty."""
    return setting(
        validators.optional(validators.matching(pattern, rule)),
        example=example,
        help=help,
        group=GROUP,
        secret="refused",
    )


def flag(*, help: str) -> bool:
    """The declaration of a switch that is off by default."""
    return setting(validators.flag(), default=False, example=True, help=help, group=GROUP)


def network(target: str, *, shortest: int, longest: int, example: str, help: str) -> str | None:
    """The declaration of ``network``, the range of a new VPC."""
    return setting(
        validators.optional(validators.private_network(target, shortest=shortest, longest=longest)),
        example=example,
        help=help,
        group=SERVERS,
    )


def ssh_from() -> tuple[str, ...]:
    """The declaration of ``sshFrom``."""
    return setting(
        Structured(
            type="array", rule="the networks that may reach SSH, this computer's among them", read=_read_networks
        ),
        default=[],
        example=["203.0.113.7/32"],
        help="The networks that may reach SSH, such as 203.0.113.7/32. The one of this computer must be among them.",
        group=GROUP,
        required=True,
        secret="refused",
        command="pulumi config set --path 'sshFrom[0]' <network>",
    )


def domain_outside_zone(zone: str | None, domain: str | None) -> Iterator[Conflict]:
    """A mistake if ``zone`` is set and the domain isn't in it."""
    if zone and (domain is None or not f".{domain}".endswith(f".{zone}")):
        yield (
            ("zone", "domain"),
            f"domain is {'in another zone' if domain else 'empty'}, but must be {zone} (the setting zone) or in it;"
            " set it with: pulumi config set domain <value>",
        )


def network_of_existing_vpc(network: str | None, vpc: str | None) -> Iterator[Conflict]:
    """A mistake if both are set: an existing VPC has its range already."""
    if network and vpc:
        yield (
            ("network", "vpc"),
            "network is the range of a new VPC, but vpc names an existing one; remove one of them with:"
            " pulumi config rm network, or pulumi config rm vpc",
        )


def status_the_balancer_refuses(target: str, common: CommonSettings, limit: int) -> Iterator[Conflict]:
    """A mistake if the target's balancer can't count ``healthStatus`` as healthy, because that is ``limit`` or more."""
    if common.balancer and common.health_status and common.health_status >= limit:
        yield (
            ("healthStatus", "balancer", "servers"),
            f"healthStatus is {common.health_status}, but must be below {limit}: the balancer of target {target}"
            " counts no other status as healthy; set it with: pulumi config set healthStatus <value>",
        )


def _read_networks(value: object) -> tuple[tuple[str, ...], list[str]]:
    if not isinstance(value, list):
        return (), ["sshFrom must be a list; set it with: pulumi config set --path 'sshFrom[0]' <network>"]
    networks: list[str] = []
    mistakes: list[str] = []
    for index, item in enumerate(cast(list[object], value)):
        try:
            networks.append(_network(item))
        except ValueError as error:
            key = f"sshFrom[{index}]"
            mistakes.append(f"{key} is {item!r}, but {error}; set it with: pulumi config set --path '{key}' <network>")
    return tuple(dict.fromkeys(networks)), mistakes


def _network(value: object) -> str:
    try:
        network = ipaddress.ip_network(str(value))
    except ValueError as error:
        raise ValueError(f"must be a network such as 203.0.113.7/32 ({error})") from None
    shortest = _SHORTEST_PREFIX[network.version]
    if network.prefixlen < shortest:
        raise ValueError(
            f"must be one of your own networks, /{shortest} or smaller, because SSH is never open to the world"
        )
    return str(network)
