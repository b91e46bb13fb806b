"""AWS: what the provider refuses before it calls the API, and which texts it takes as equal."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from tests.clouds.resource_schema import Rule
from tools.offline.command_plugin.values import Value, is_unknown

_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}|aws)?:.+")
# Protocols that EC2 also knows by a number.
_PROTOCOL_NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}


def between(low: int, high: int) -> Rule:
    """A number in this range, ends included."""
    return lambda value: None if low <= float(value) <= high else f"expected {low} to {high}, got {value:g}"


def number_of(*choices: int) -> Rule:
    return lambda value: None if value in choices else f"expected one of {choices}, got {value:g}"


def one_of(*choices: str) -> Rule:
    return lambda value: None if value in choices else f"expected one of {', '.join(choices)}, got {value!r}"


def matching(pattern: str) -> Rule:
    return lambda value: None if re.fullmatch(pattern, value) else f"{value!r} doesn't match {pattern}"


def at_most(limit: int) -> Rule:
    """A text of at most this length. The message doesn't repeat it."""
    return lambda value: None if len(value) <= limit else f"expected at most {limit} characters, got {len(value)}"


def exactly_one_of(*names: str) -> Rule:
    """A rule for all inputs together. An input counts although its value is unknown."""

    def check(inputs: Mapping[str, Any]) -> str | None:
        set_names = _set_names(inputs, names)
        return None if len(set_names) == 1 else f"expected exactly one of {', '.join(names)}, got {set_names or 'none'}"

    return check


def at_least_one_of(*names: str) -> Rule:
    """A rule for all inputs together."""
    return lambda inputs: None if _set_names(inputs, names) else f"expected one of {', '.join(names)}"


def not_together(first: str, second: str) -> Rule:
    """A rule for all inputs together."""
    return lambda inputs: f"{first} conflicts with {second}" if len(_set_names(inputs, (first, second))) == 2 else None


def all_of(*rules: Rule) -> Rule:
    """The first mistake that one of the rules finds."""
    return lambda value: next((mistake for rule in rules if (mistake := rule(value))), None)


def each(rule: Rule) -> Rule:
    """The first mistake of a list's elements."""
    return lambda values: next((mistake for one in values if not is_unknown(one) and (mistake := rule(one))), None)


def arn(value: str) -> str | None:
    return None if not value or _ARN.fullmatch(value) else f"{value!r} is not an ARN"


def network(version: int, prefixes: Collection[int] = range(129)) -> Rule:
    """A CIDR of IPv4 or IPv6, without host bits and with one of these prefix lengths."""
    kind = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network

    def check(value: str) -> str | None:
        try:
            length = kind(value).prefixlen
        except ValueError as error:
            return f"{value!r} is not an IPv{version} network: {error}"
        return None if "/" in value and length in prefixes else f"{value!r} has no prefix length that is allowed"

    return check


def json_object(value: str) -> str | None:
    try:
        document = json.loads(value)
    except ValueError as error:
        return f"contains invalid JSON: {error}"
    return None if isinstance(document, dict) else "contains JSON that is not an object"


def policy(text: str) -> Value:
    """A policy as IAM understands it: the order of a list doesn't count, and a list of one is its element."""
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
