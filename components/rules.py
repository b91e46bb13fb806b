"""What values of the settings must be: each rule says what is broken. Pure functions."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path

# https://www.rfc-editor.org/rfc/rfc1918#section-3
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
_DOMAIN = re.compile(r"^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$")

# A local network of its own (/24) has room for as many, and for as many again that take their place. The clouds have
# more: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html,
# https://docs.digitalocean.com/products/networking/load-balancers/details/limits/
MOST_SERVERS = 120
# How the default of healthStatus is written.
GOOD_STATUS = "2xx or 3xx"


def one_of(choices: tuple[str, ...]) -> Callable[[str], str | None]:
    return lambda value: None if value in choices else f"must be one of: {', '.join(choices)}"


def folder(path: Path) -> str | None:
    return None if path.is_dir() else f"there is no folder {path}"


def revision(value: str) -> str | None:
    # As an option, or as the "revision:path" of a file, git would take it for something else.
    odd = value.startswith("-") or any(each in value for each in " \t\n:")
    return "must be a branch, tag or commit of git, or the 12 digits of a release that is kept" if odd else None


def domain(value: str) -> str | None:
    if value.startswith("www."):
        return f"must be the bare domain ({value[4:]}): www. is redirected to it"
    return None if _DOMAIN.match(value) else "must be a domain in lower case, such as example.org"


def path(value: str) -> str | None:
    fits = value.startswith("/") and all(33 <= ord(character) < 127 for character in value)
    return None if fits else "must be a path that starts with / and has no spaces, such as /healthz"


def status(value: str) -> str | None:
    fits = value == GOOD_STATUS or re.fullmatch("[2-5][0-9][0-9]", value)
    return None if fits else f"must be one status, such as 204, or {GOOD_STATUS!r}"


def interval(value: str) -> str | None:
    fits = re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,3})?", value) and (float(value) == 0 or 0.1 <= float(value) <= 60)
    return None if fits else "must be a number from 0.1 to 60, or 0"


def cidr(value: str) -> str | None:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        return f"must be an IPv4 network such as 10.77.5.0/24 ({error})"
    private = any(network.subnet_of(ipaddress.IPv4Network(each)) for each in PRIVATE)
    return None if private and network.prefixlen <= 28 else f"must be a part of {', '.join(PRIVATE)}, of at least /28"


def room(target: str, network: str | None, servers: int) -> list[str]:
    """Whether the servers find room in a network that was asked for, also while all of them are replaced at once."""
    if network is None or cidr(network):
        return []
    addresses = ipaddress.IPv4Network(network).num_addresses
    # On AWS the servers take turns between two subnets of a quarter each. AWS keeps 5 addresses, a balancer wants 8:
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
    # Elsewhere one each is the range's own, the gateway's and for broadcasts; a balancer may be replaced as well.
    most = 2 * ((max(addresses // 4, 16) - 5 - 8) // 2) if target == "aws" else (addresses - 3) // 2 - 1
    if servers <= most:
        return []
    return [
        f"servers is {servers}, but network {network} has room for {most} that can all be replaced at once;"
        " set a larger one with: pulumi config set network <value>"
    ]
