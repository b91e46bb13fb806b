"""The inputs and outputs of a resource type, and which changes replace a resource."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pulumi  # noqa: F401  (before the offline plugin, which otherwise loads the SDK messages without the SDK)

from tools.offline.command_plugin import schema
from tools.offline.command_plugin.diff import same
from tools.offline.command_plugin.schema import Failure, Property, checked
from tools.offline.command_plugin.values import SIGNATURE, Properties, Value, is_unknown, revealed

# A Python type, a list of one shape, a map of anything (dict), or the fields of an object. A required name ends in "!".
Shape = Mapping[str, Any]
# An input or a field of it. Lists have no index: "forwardingRules.targetPort" is the port of every rule.
Path = str
# Takes a value, and returns its mistake as a text, or None.
Rule = Callable[[Any], str | None]
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
    """One resource type: what its provider accepts, and which differences between two inputs count as a change."""

    inputs: Shape
    # The values that only the cloud knows.
    outputs: tuple[str, ...] = ()
    replaces: tuple[Path, ...] = ()
    # A change of the first input replaces the resource only where the second one is true.
    replaces_if: tuple[str, str] | None = None
    # Whether a replacement deletes the old resource first, also if the new one has another name.
    deletes_first: bool = False
    name: NameInput | None = None
    # Terraform's "optional and computed": where the program leaves it out, the cloud's value stays.
    computed: tuple[Path, ...] = ()
    # Lists in which neither the order nor a repetition counts.
    sets: tuple[Path, ...] = ()
    # The spelling of a text in which two values are compared.
    spellings: Mapping[Path, Callable[[str], Value]] = field(default_factory=dict[str, Callable[[str], Value]])
    # The values that Check adds where the program names none. A field's value is added only to an object that is there.
    defaults: Mapping[Path, Value] = field(default_factory=dict[str, Value])
    # What Check refuses, by path. The path "" stands for all inputs together.
    rules: Mapping[Path, Rule] = field(default_factory=dict[str, Rule])

    def check(self, urn_name: str, olds: Properties, news: Properties) -> tuple[Properties, list[Failure]]:
        """The inputs with a name and defaults, and their mistakes. ``olds`` keeps a generated name."""
        raw_inputs = {key: revealed(value) for key, value in news.items() if key != DEFAULTS}
        inputs, failures = checked(raw_inputs, _properties(self.inputs))
        if failures:
            return inputs, failures
        defaults = dict(self.defaults)
        if self.name:
            defaults[self.name.input] = _generated_name(self.name, urn_name, olds)
        added = sorted(key for key in defaults if "." not in key and inputs.get(key) is None)
        inputs = _with_defaults(inputs, defaults)
        if added:
            inputs = {**inputs, DEFAULTS: added}
        return inputs, [*self._name_mistakes(inputs), *self._mistakes(inputs)]

    def input_names(self) -> set[str]:
        return {key.removesuffix("!") for key in self.inputs}

    def unknown_outputs(self) -> set[str]:
        """The outputs that a preview of a new resource doesn't know, unless the program sets them."""
        return {*self.outputs, *(path for path in self.computed if "." not in path)}

    def completed(self, olds: Properties, news: Properties) -> Properties:
        """The new inputs. A computed one that is left out has its old value."""
        return self._completed(olds, news, "")

    def diff(self, olds: Properties, news: Properties) -> tuple[list[str], list[str]]:
        """The inputs that change, and those among them that replace the resource."""
        # States of earlier doubles lack the defaults that the real provider's states have.
        news = _with_defaults(self.completed(olds, news), self.defaults)
        olds = _with_defaults(olds, self.defaults)
        keys = sorted({*olds, *news} - {DEFAULTS})
        changes = [key for key in keys if not self._same(key, olds, news)]
        replacing_paths = set(self.replaces)
        if self.replaces_if and revealed(news.get(self.replaces_if[1])) is True:
            replacing_paths.add(self.replaces_if[0])
        replacing_inputs = {path.partition(".")[0] for path in replacing_paths if not self._same(path, olds, news)}
        return changes, [key for key in changes if key in replacing_inputs]

    def deletes_before_replace(self, news: Properties) -> bool:
        """Whether the old resource must go first. It must if the new one has the same name."""
        return self.deletes_first or (self.name is not None and self.name.input not in _default_inputs(news))

    def _completed(self, olds: Properties, news: Properties, prefix: Path) -> Properties:
        kept = {key: old for key, old in olds.items() if prefix + key in self.computed and news.get(key) is None}
        return {**{key: self._completed_value(olds.get(key), new, prefix + key) for key, new in news.items()}, **kept}

    def _completed_value(self, old: Value, new: Value, path: Path) -> Value:
        if isinstance(old, list) and isinstance(new, list) and path in self.sets:
            return [self._completed_element(old, element, path) for element in new]
        if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            return [self._completed_value(*pair, path) for pair in zip(old, new, strict=True)]
        if isinstance(old, dict) and isinstance(new, dict) and SIGNATURE not in new:
            return self._completed(old, new, f"{path}.")
        return new

    def _completed_element(self, olds: list[Value], new: Value, path: Path) -> Value:
        """An element of a set: it is the old one that differs in nothing but what the new one leaves out."""
        pairs = [(old, self._completed_value(old, new, path)) for old in olds]
        return next((one for old, one in pairs if self._comparable(old, path) == self._comparable(one, path)), new)

    def _same(self, path: Path, olds: Properties, news: Properties) -> bool:
        old, new = (self._comparable(list(_values_at(path, inputs)), path) for inputs in (olds, news))
        return same(old, new)

    def _comparable(self, value: Value, path: Path) -> Value:
        """The value in the spelling and the order in which the provider compares it."""
        if isinstance(value, list):
            elements = [self._comparable(element, path) for element in value]
            unique = {json.dumps(element): element for element in elements}
            return [unique[key] for key in sorted(unique)] if path in self.sets else elements
        if isinstance(value, dict):
            return {key: self._comparable(value[key], f"{path}.{key}") for key in sorted(value)}
        if isinstance(value, str) and path in self.spellings and not is_unknown(value):
            return self.spellings[path](value)
        # The protocol knows only floats. A default of this schema may be an int.
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def _name_mistakes(self, inputs: Properties) -> list[Failure]:
        if self.name is None or is_unknown(name := inputs[self.name.input]):
            return []
        return [Failure(self.name.input, reason) for reason in _mistakes_of_name(self.name, str(name))]

    def _mistakes(self, inputs: Properties) -> list[Failure]:
        values = [(path, rule, value) for path, rule in self.rules.items() for value in _values_at(path, inputs)]
        reasons = [(path, rule(value)) for path, rule, value in values if not is_unknown(value)]
        return [Failure(path, reason) for path, reason in reasons if reason]


def _values_at(path: Path, inputs: Properties) -> Iterator[Value]:
    """The values at a path: none where it is left out, several where it leads through a list."""
    if not path:
        yield inputs
        return
    name, _, rest = path.partition(".")
    value = inputs.get(name)
    for element in value if rest and isinstance(value, list) else [value]:
        if rest and isinstance(element, dict):
            yield from _values_at(rest, element)
        elif not rest and element is not None:
            yield element


def _with_defaults(inputs: Properties, defaults: Mapping[Path, Value]) -> Properties:
    for path, value in defaults.items():
        inputs = _with_default(inputs, path, value)
    return inputs


def _with_default(inputs: Properties, path: Path, default: Value) -> Properties:
    """The inputs with this value where the path has none."""
    name, _, rest = path.partition(".")
    value = inputs.get(name)
    if not rest:
        return inputs if value is not None else {**inputs, name: default}
    if isinstance(value, list):
        elements = [_with_default(one, rest, default) if isinstance(one, dict) else one for one in value]
        return {**inputs, name: cast("Value", elements)}
    return {**inputs, name: _with_default(value, rest, default)} if isinstance(value, dict) else inputs


def _generated_name(rule: NameInput, urn_name: str, olds: Properties) -> Value:
    """The name that the old inputs have, if it was generated; otherwise a new one."""
    previous_name = olds.get(rule.input) if rule.input in _default_inputs(olds) else None
    return previous_name or f"{urn_name}-{secrets.token_hex(4)[:SUFFIX_DIGITS]}"


def _default_inputs(inputs: Properties) -> list[Value]:
    names = inputs.get(DEFAULTS)
    return names if isinstance(names, list) else []


def _mistakes_of_name(rule: NameInput, name: str) -> list[str]:
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
