"""DigitalOcean: what the provider refuses in a preview, before it calls the cloud."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, ip_interface
from typing import Any

from tests.clouds.input_rules import each
from tests.clouds.resource_schema import Rule

_TAG = re.compile(r"[a-zA-Z0-9:\-_]{1,255}")


def not_empty(value: Any) -> str | None:
    """For texts, lists, and ids that are numbers."""
    return None if value else "must not be empty"


def tag(value: str) -> str | None:
    return None if _TAG.fullmatch(value) else f"{value!r}: tags have up to 255 letters, numbers, colons, - and _"


def cidr(value: str) -> str | None:
    try:
        is_valid = bool(ip_interface(value)) and value.partition("/")[2].isdigit()
    except ValueError:
        is_valid = False
    return None if is_valid else f"expected a valid CIDR value, got {value}"


def ipv4(value: str) -> str | None:
    try:
        IPv4Address(value)
    except AddressValueError:
        return f"expected a valid IPv4 address, got {value}"
    return None


def needs(one: str, other: str) -> Rule:
    """A rule for all inputs together: the first input must not be set without the second."""
    return lambda inputs: f"{one} needs {other}" if one in inputs and other not in inputs else None


def every(list_input: str, mistake_in: Callable[[dict[str, Any]], str | None]) -> Rule:
    """A rule for the fields of every object in a list that may be left out or unknown."""

    def rule(inputs: dict[str, Any]) -> str | None:
        values = inputs.get(list_input)
        return each(mistake_in)(values) if isinstance(values, list) else None

    return rule
