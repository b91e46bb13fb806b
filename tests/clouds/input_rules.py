"""Rules for inputs that the providers of both clouds check in a preview."""

from __future__ import annotations

import re
from typing import Any

from tests.clouds.resource_schema import Rule
from tools.offline.command_plugin.values import is_unknown


def between(low: int, high: int) -> Rule:
    """A number in this range, ends included."""
    return lambda value: None if low <= float(value) <= high else f"expected {low} to {high}, got {value:g}"


def at_least(low: int) -> Rule:
    return lambda value: None if value >= low else f"expected at least {low}, got {value:g}"


def number_of(*choices: int) -> Rule:
    return lambda value: None if value in choices else f"expected one of {choices}, got {value:g}"


def one_of(*choices: str, any_case: bool = False) -> Rule:
    def rule(value: str) -> str | None:
        is_known = value in choices or (any_case and value.upper() in {choice.upper() for choice in choices})
        return None if is_known else f"expected one of {', '.join(choices)}, got {value}"

    return rule


def matching(pattern: str) -> Rule:
    return lambda value: None if re.fullmatch(pattern, value) else f"{value!r} doesn't match {pattern}"


def at_most(limit: int) -> Rule:
    """A text of at most this many characters. The message doesn't repeat the text."""
    return lambda value: None if len(value) <= limit else f"expected at most {limit} characters, got {len(value)}"


def all_of(*rules: Rule) -> Rule:
    """The first mistake that one of the rules finds."""
    return lambda value: next((mistake for rule in rules if (mistake := rule(value))), None)


def each(rule: Rule) -> Rule:
    """The first mistake of a list's elements."""
    return lambda values: next((mistake for one in values if not is_unknown(one) and (mistake := rule(one))), None)


def conflict(one: str, *others: str) -> Rule:
    """A rule for all inputs together: the first input and one of the others must not both be set."""

    def rule(inputs: dict[str, Any]) -> str | None:
        present = [other for other in others if inputs.get(other) is not None]
        return f"{one} conflicts with {present[0]}" if present and inputs.get(one) is not None else None

    return rule
