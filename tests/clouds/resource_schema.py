"""The inputs and outputs of a resource type, and which changes replace a resource."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi  # noqa: F401  (before the offline plugin, which otherwise loads the SDK messages without the SDK)

from tools.offline.command_plugin import schema
from tools.offline.command_plugin.diff import same
from tools.offline.command_plugin.schema import Failure, Property, checked
from tools.offline.command_plugin.values import Properties, Value, is_secret, is_unknown, revealed, secret, unwrapped

# A Python type, a list of one shape, a map of anything (dict), or the fields of an object. A required name ends in "!".
Shape = Mapping[str, Any]
# Under this key the real providers list the inputs that they chose themselves.
DEFAULTS = "__defaults"
SUFFIX_DIGITS = 7

_SIMPLE_KINDS = {
    str: schema.Kind.STRING,
    int: schema.Kind.NUMBER,
    bool: schema.Kind.BOOLEAN,
    dict: schema.Kind.MAP,
    object: schema.Kind.ANY,
}


@dataclass(frozen=True, kw_only=True)
class NameInput:
    """The input that Pulumi fills with a generated name, and which names the cloud accepts."""

    input: str = "name"
    limit: int = 255
    pattern: str = r".+"


@dataclass(frozen=True, kw_only=True)
class ResourceSchema:
    """One resource type. ``outputs`` are the values that only the cloud knows."""

    inputs: Shape
    outputs: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    name: NameInput | None = None
    # Inputs that may be left out: then the provider reports no change, whatever the cloud has.
    unchanged_when_absent: tuple[str, ...] = ()
    # A change of the first input replaces the resource only where the second one is true.
    replaces_if: tuple[str, str] | None = None

    def check(self, urn_name: str, olds: Properties, news: Properties) -> tuple[Properties, list[Failure]]:
        """The inputs with a name, generated where there was none, and their mistakes."""
        raw_inputs = {key: value for key, value in news.items() if key != DEFAULTS}
        inputs, failures = checked(raw_inputs, _properties(self.inputs))
        if self.name and not failures:
            inputs, failures = _with_name(self.name, urn_name, olds=olds, inputs=inputs)
        return inputs, failures

    def diff(self, olds: Properties, news: Properties) -> tuple[list[str], list[str]]:
        """The inputs that change, and those among them that replace the resource."""
        changes = [
            key
            for key in sorted({*olds, *news} - {DEFAULTS})
            if not same(revealed(olds.get(key)), revealed(news.get(key)))
            and not (key in self.unchanged_when_absent and news.get(key) is None)
        ]
        replacing_inputs = set(self.replaces)
        if self.replaces_if and revealed(news.get(self.replaces_if[1])) is True:
            replacing_inputs.add(self.replaces_if[0])
        return changes, [key for key in changes if key in replacing_inputs]

    def deletes_before_replace(self, news: Properties) -> bool:
        """Whether the old resource must go first, because the new one has the same name."""
        return self.name is not None and self.name.input not in _default_inputs(news)


def with_secrets_of(inputs: Properties, outputs: Mapping[str, Value]) -> Properties:
    """The outputs. Those whose input is secret are secret as well."""
    return {key: secret(value) if is_secret(inputs.get(key)) else value for key, value in outputs.items()}


def _with_name(
    rule: NameInput, urn_name: str, *, olds: Properties, inputs: Properties
) -> tuple[Properties, list[Failure]]:
    name = unwrapped(inputs.get(rule.input))
    if name is None:
        previous_name = olds.get(rule.input) if rule.input in _default_inputs(olds) else None
        name = previous_name or f"{urn_name}-{secrets.token_hex(4)[:SUFFIX_DIGITS]}"
        inputs = {**inputs, rule.input: name, DEFAULTS: [rule.input]}
    if is_unknown(name):
        return inputs, []
    return inputs, [Failure(rule.input, reason) for reason in _mistakes(rule, str(name))]


def _default_inputs(inputs: Properties) -> list[Value]:
    names = inputs.get(DEFAULTS)
    return names if isinstance(names, list) else []


def _mistakes(rule: NameInput, name: str) -> list[str]:
    if len(name) > rule.limit:
        return [f"{name!r} has {len(name)} characters, and {rule.input} takes {rule.limit}"]
    if not re.fullmatch(rule.pattern, name):
        return [f"{name!r} doesn't match {rule.pattern}"]
    return []


def _properties(shape: Shape) -> dict[str, Property]:
    return {key.removesuffix("!"): _property(inner, required=key.endswith("!")) for key, inner in shape.items()}


def _property(shape: Any, *, required: bool = False) -> Property:
    if isinstance(shape, list):
        return Property(kind=schema.Kind.LIST, required=required, element=_property(shape[0]))
    if isinstance(shape, Mapping):
        return Property(kind=schema.Kind.OBJECT, required=required, fields=_properties(shape))
    return Property(kind=_SIMPLE_KINDS[shape], required=required)
