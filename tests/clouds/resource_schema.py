"""What a cloud's resource type accepts and how it changes, in one description a type."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi  # noqa: F401  (before command_plugin, which loads its messages without the SDK where it isn't there)

from command_plugin import schema
from command_plugin.diff import same
from command_plugin.schema import Failure, Property, checked
from command_plugin.values import Properties, Value, is_secret, is_unknown, revealed, secret, unwrapped

# A type, a list of one, a map of anything (dict), or the fields of an object; a name with ! is required.
Shape = Mapping[str, Any]
# The real providers note here which inputs they have chosen themselves.
DEFAULTS = "__defaults"
SUFFIX_DIGITS = 7

_SIMPLE = {
    str: schema.Kind.STRING,
    int: schema.Kind.NUMBER,
    bool: schema.Kind.BOOLEAN,
    dict: schema.Kind.MAP,
    object: schema.Kind.ANY,
}


@dataclass(frozen=True, kw_only=True)
class Name:
    """The input that Pulumi fills in where the program gives none, and what the cloud takes."""

    input: str = "name"
    limit: int = 255
    pattern: str = r".+"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One resource type; ``outputs`` are what only the cloud knows."""

    inputs: Shape
    outputs: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    name: Name | None = None
    # Blocks of which the provider sees no change where the program gives none, whatever there is.
    kept: tuple[str, ...] = ()
    # Replaces like ``replaces``, where this input is true.
    replaces_if: tuple[str, str] | None = None

    def check(self, urn_name: str, olds: Properties, news: Properties) -> tuple[Properties, list[Failure]]:
        """The inputs, with a name where there was none, and what is wrong with them."""
        given = {key: value for key, value in news.items() if key != DEFAULTS}
        inputs, failures = checked(given, _properties(self.inputs))
        if self.name and not failures:
            inputs, failures = self._named(self.name, urn_name, olds, inputs)
        return inputs, failures

    def _named(
        self, name: Name, urn_name: str, olds: Properties, inputs: Properties
    ) -> tuple[Properties, list[Failure]]:
        given = unwrapped(inputs.get(name.input))
        if given is None:
            kept = olds.get(name.input) if name.input in _chosen(olds) else None
            given = kept or f"{urn_name}-{secrets.token_hex(4)[:SUFFIX_DIGITS]}"
            inputs = {**inputs, name.input: given, DEFAULTS: [name.input]}
        if is_unknown(given):
            return inputs, []
        return inputs, [Failure(name.input, reason) for reason in _broken(name, str(given))]

    def diff(self, olds: Properties, news: Properties) -> tuple[list[str], list[str]]:
        """The inputs that change, and those that replace the resource."""
        changed = [
            key
            for key in sorted({*olds, *news} - {DEFAULTS})
            if not same(revealed(olds.get(key)), revealed(news.get(key)))
            and not (key in self.kept and news.get(key) is None)
        ]
        replacing = set(self.replaces)
        if self.replaces_if and revealed(news.get(self.replaces_if[1])) is True:
            replacing.add(self.replaces_if[0])
        return changed, [key for key in changed if key in replacing]

    def replaces_in_place(self, news: Properties) -> bool:
        """Whether the old one must go first, since the new one has the same name."""
        return self.name is not None and self.name.input not in _chosen(news)


def like(inputs: Properties, outputs: Mapping[str, Value]) -> Properties:
    """``outputs`` with those secret that are secret among the inputs."""
    return {key: secret(value) if is_secret(inputs.get(key)) else value for key, value in outputs.items()}


def _chosen(inputs: Properties) -> list[Value]:
    chosen = inputs.get(DEFAULTS)
    return chosen if isinstance(chosen, list) else []


def _broken(name: Name, given: str) -> list[str]:
    if len(given) > name.limit:
        return [f"{given!r} has {len(given)} characters, and {name.input} takes {name.limit}"]
    if not re.fullmatch(name.pattern, given):
        return [f"{given!r} doesn't match {name.pattern}"]
    return []


def _properties(shape: Shape) -> dict[str, Property]:
    return {key.removesuffix("!"): _property(inner, required=key.endswith("!")) for key, inner in shape.items()}


def _property(shape: Any, *, required: bool = False) -> Property:
    if isinstance(shape, list):
        return Property(kind=schema.Kind.LIST, required=required, element=_property(shape[0]))
    if isinstance(shape, Mapping):
        return Property(kind=schema.Kind.OBJECT, required=required, fields=_properties(shape))
    return Property(kind=_SIMPLE[shape], required=required)
