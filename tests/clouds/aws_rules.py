"""AWS: what the provider refuses before it calls the API, and which texts it takes as equal."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from tests.clouds.resource_schema import Rule
from tools.offline.command_plugin.values import Value

_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}|aws)?:.+")
# Protocols that EC2 also knows by a number.
_PROTOCOL_NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}


def exactly_one_of(*names: str) -> Rule:
    """A rule for all inputs together. An input with an unknown value counts as set."""

    def check(inputs: Mapping[str, Any]) -> str | None:
        set_names = _set_names(inputs, names)
        return None if len(set_names) == 1 else f"expected exactly one of {', '.join(names)}, got {set_names or 'none'}"

    return check


def at_least_one_of(*names: str) -> Rule:
    """A rule for all inputs together."""
    return lambda inputs: None if _set_names(inputs, names) else f"expected one of {', '.join(names)}"


def arn(value: str) -> str | None:
    """Accepts the empty text, too, as the provider does."""
    return None if not value or _ARN.fullmatch(value) else f"{value!r} is not an ARN"


def network(version: int, prefixes: Collection[int] = range(129)) -> Rule:
    """A CIDR of IPv4 or IPv6, without host bits and with one of these prefix lengths."""
    kind = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network

    def check(value: str) -> str | None:
        try:
            length = kind(value).prefixlen
        except ValueError as error:
            return f"{value!r} is not an IPv{version} network: {error}"
        is_valid = value.partition("/")[2].isdigit() and length in prefixes
        return None if is_valid else f"{value!r} has no prefix length that is allowed"

    return check


def json_object(value: str) -> str | None:
    try:
        document = json.loads(value)
    except ValueError as error:
        return f"contains invalid JSON: {error}"
    return None if isinstance(document, dict) else "contains JSON that is not an object"


def policy(text: str) -> Value:
    """A policy as IAM compares it: the order of a list doesn't count, and a list of one element equals the element."""
    try:
        return _sorted(json.loads(text))
    except ValueError:
        return text


def host_name(text: str) -> str:
    """A name in DNS, where case and the dot at the end don't count."""
    return text.removesuffix(".").lower()


def balancer_name(text: str) -> str:
    """The name of a load balancer in DNS. The console writes a prefix before it."""
    return host_name(text).removeprefix("dualstack.")


def protocol(text: str) -> str:
    """A protocol by its name in lower case. Those with a number in EC2 may also be spelled with it."""
    lowered = text.lower()
    return _PROTOCOL_NUMBERS.get(lowered, lowered)


def _set_names(inputs: Mapping[str, Any], names: Collection[str]) -> list[str]:
    return [name for name in names if inputs.get(name) is not None]


def _sorted(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _sorted(document[key]) for key in sorted(document)}
    if isinstance(document, list):
        elements = sorted((_sorted(element) for element in document), key=lambda element: json.dumps(element))
        return elements[0] if len(elements) == 1 else elements
    return document
