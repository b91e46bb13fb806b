"""What DigitalOcean's provider refuses in a preview, before it calls the cloud: rules for single inputs and for all."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, ip_interface
from typing import Any

from tests.clouds.resource_schema import Rule
from tools.offline.command_plugin.values import is_unknown

_TAG = re.compile(r"[a-zA-Z0-9:\-_]{1,255}")


def between(low: int, high: int) -> Rule:
    return lambda number: None if low <= number <= high else f"expected {low} to {high}, got {number:g}"


def at_least(low: int) -> Rule:
    return lambda number: None if number >= low else f"expected at least {low}, got {number:g}"


def one_of(*choices: str, any_case: bool = False) -> Rule:
    def rule(value: str) -> str | None:
        is_known = value in choices or (any_case and value.upper() in {choice.upper() for choice in choices})
        return None if is_known else f"expected one of {', '.join(choices)}, got {value}"

    return rule


def at_most_long(limit: int) -> Rule:
    return lambda text: None if len(text) <= limit else f"expected at most {limit} characters, got {len(text)}"


def not_empty(value: Any) -> str | None:
    """For texts, lists, and ids that are numbers."""
    return None if value else "must not be empty"


def tag(value: str) -> str | None:
    return None if _TAG.fullmatch(value) else f"{value!r}: tags have up to 255 letters, numbers, colons, - and _"


def cidr(value: str) -> str | None:
    try:
        is_valid = bool(ip_interface(value)) and "/" in value
    except ValueError:
        is_valid = False
    return None if is_valid else f"expected a valid CIDR value, got {value}"


def ipv4(value: str) -> str | None:
    try:
        IPv4Address(value)
    except AddressValueError:
        return f"expected a valid IPv4 address, got {value}"
    return None


def each(rule: Rule) -> Rule:
    """The rule for every element of a list."""

    def rule_of_list(values: list[Any]) -> str | None:
        mistakes = (rule(value) for value in values if not is_unknown(value))
        return next((mistake for mistake in mistakes if mistake), None)

    return rule_of_list


def first_of(*rules: Rule) -> Rule:
    """The first mistake that one of the rules finds."""
    return lambda value: next((mistake for rule in rules if (mistake := rule(value))), None)


def conflict(one: str, others: tuple[str, ...]) -> Rule:
    def rule(inputs: dict[str, Any]) -> str | None:
        present = [other for other in others if inputs.get(other) is not None]
        return f"{one} conflicts with {present[0]}" if present and inputs.get(one) is not None else None

    return rule


def needs(one: str, other: str) -> Rule:
    return lambda inputs: f"{one} needs {other}" if one in inputs and other not in inputs else None


def every(list_input: str, mistake_in: Callable[[dict[str, Any]], str | None]) -> Rule:
    """A rule for the fields of every object in a list that may be left out or unknown."""

    def rule(inputs: dict[str, Any]) -> str | None:
        values = inputs.get(list_input)
        return each(mistake_in)(values) if isinstance(values, list) else None

    return rule
