"""Compares a resource's state with its inputs and reports the changes as the engine expects them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .schema import Resource
from .values import (
    SIGNATURE,
    UNKNOWN,
    Properties,
    Value,
    has_asset,
    is_archive,
    is_asset,
    is_secret,
    is_unknown,
    revealed,
    secret,
    unwrapped,
)

Path: TypeAlias = "tuple[str | int, ...]"


class Change(Enum):
    ADD = "ADD"
    DELETE = "DELETE"
    UPDATE = "UPDATE"


@dataclass(frozen=True)
class PropertyChange:
    change: Change
    replaces: bool


def resource_diff(resource: Resource, state: Properties, inputs: Properties) -> dict[str, PropertyChange]:
    """The changes by property path. A change updates the resource, unless the property or the resource replaces it."""
    old, new = _comparable(resource, state), _comparable(resource, inputs)
    return {
        _path_text(path): PropertyChange(change, not resource.updates or _replaces(resource, path))
        for path, change in _changes(old, new, ())
    }


def _comparable(resource: Resource, properties: Properties) -> Properties:
    """The inputs among the properties. A secret input has no further marks inside: earlier versions left them out."""
    found = {name: properties[name] for name in resource.inputs if name in properties}
    return {
        name: secret(revealed(value)) if resource.inputs[name].secret and value is not None else value
        for name, value in found.items()
    }


def _replaces(resource: Resource, path: Path) -> bool:
    # Only a change of the whole property. For a changed element the engine decides: the SDK gives it
    # `replaceOnChanges: triggers[*]`.
    schema = resource.inputs.get(str(path[0]))
    return len(path) == 1 and schema is not None and schema.replaces


def _changes(old: Properties, new: Properties, path: Path) -> list[tuple[Path, Change]]:
    changes: list[tuple[Path, Change]] = []
    for name in {**old, **new}:
        changes.extend(_value_changes(old.get(name), new.get(name), (*path, name)))
    return changes


def _value_changes(old: Value, new: Value, path: Path) -> list[tuple[Path, Change]]:
    if same(old, new):
        return []
    if old is None:
        return [(path, Change.ADD)]
    if new is None:
        return [(path, Change.DELETE)]
    if isinstance(old, list) and isinstance(new, list):
        return _list_changes(old, new, path)
    if isinstance(old, dict) and isinstance(new, dict) and SIGNATURE not in {**old, **new}:
        return _changes(old, new, path)
    return [(path, Change.UPDATE)]


def _list_changes(old: list[Value], new: list[Value], path: Path) -> list[tuple[Path, Change]]:
    changes: list[tuple[Path, Change]] = []
    for index, (before, after) in enumerate(zip(old, new, strict=False)):
        changes.extend(_value_changes(before, after, (*path, index)))
    changes.extend(((*path, index), Change.ADD) for index in range(len(old), len(new)))
    changes.extend(((*path, index), Change.DELETE) for index in range(len(new), len(old)))
    return changes


def same(old: Value, new: Value) -> bool:
    """Whether the engine sees the values as equal: missing equals null, and assets are compared by content."""
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(same(a, b) for a, b in zip(old, new, strict=True))
    if isinstance(old, dict) and isinstance(new, dict):
        if (is_asset(old) and is_asset(new)) or (is_archive(old) and is_archive(new)):
            return _same_content(old, new)
        return all(same(old.get(key), new.get(key)) for key in {**old, **new})
    return type(old) is type(new) and old == new


def _same_content(old: Properties, new: Properties) -> bool:
    if old.get("hash") and new.get("hash"):
        return old["hash"] == new["hash"]
    return old == new


def previewed_create(resource: Resource, inputs: Properties) -> Properties:
    """The properties in a preview of a create."""
    outputs: Properties = {name: UNKNOWN for name in resource.outputs if name.startswith("std")}
    return {**_without_assets(inputs), **outputs}


def previewed_update(resource: Resource, state: Properties, inputs: Properties) -> Properties:
    """The properties in a preview of an update: those of the last run, or unknowns if the command would run again."""
    old, new = _comparable(resource, state), _comparable(resource, inputs)
    is_changed = any(
        is_unknown(unwrapped(new.get(name))) or (name in old and not same(old[name], new.get(name)))
        for name in resource.inputs
    )
    outputs = {name: UNKNOWN if is_changed else state[name] for name in resource.outputs if state.get(name) is not None}
    return {**(_without_assets(inputs) if is_changed else inputs), **outputs}


def _without_assets(inputs: Properties) -> Properties:
    """The inputs; those with assets or archives are unknown, as in a preview of the official plugin."""
    return {name: _unknown_like(value) if has_asset(value) else value for name, value in inputs.items()}


def _unknown_like(value: Value) -> Value:
    return secret(UNKNOWN) if is_secret(value) else UNKNOWN


def _path_text(path: Path) -> str:
    text = ""
    for element in path:
        if isinstance(element, int):
            text += f"[{element}]"
        elif re.fullmatch(r"[A-Za-z0-9_]+", element):
            text += f".{element}" if text else element
        else:
            text += '["' + element.replace('"', '\\"') + '"]'
    return text
