"""Pulumi property values as plain Python data.

Secrets, assets and archives stay the marked dictionaries of the protocol, and unknowns stay its marked strings. So
values that this plugin doesn't understand pass through it unchanged.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

from .protocol import struct_pb2

Value: TypeAlias = "bool | float | str | list[Value] | dict[str, Value] | None"
Properties: TypeAlias = "dict[str, Value]"

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWNS = frozenset(
    {
        UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # an array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    }
)


def from_struct(struct: Any) -> Properties:
    return {key: _from_value(value) for key, value in struct.fields.items()}


def _from_value(value: Any) -> Value:
    match value.WhichOneof("kind"):
        case "struct_value":
            return from_struct(value.struct_value)
        case "list_value":
            return [_from_value(element) for element in value.list_value.values]
        case None | "null_value":
            return None
        case kind:
            return cast(Value, getattr(value, kind))


def to_struct(properties: Properties) -> Any:
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


def is_unknown(value: Value) -> bool:
    return isinstance(value, str) and value in UNKNOWNS


def is_secret(value: Value) -> bool:
    return isinstance(value, dict) and value.get(SIGNATURE) == SECRET


def is_asset(value: Value) -> bool:
    return isinstance(value, dict) and value.get(SIGNATURE) == ASSET


def is_archive(value: Value) -> bool:
    return isinstance(value, dict) and value.get(SIGNATURE) == ARCHIVE


def has_asset(value: Value) -> bool:
    """Whether the value is an asset or an archive, or contains one at any depth."""
    if isinstance(value, list):
        return any(has_asset(element) for element in value)
    return isinstance(value, dict) and (is_asset(value) or is_archive(value) or any(map(has_asset, value.values())))


def with_all_members(value: Value) -> Value:
    """The value with all members of its assets and archives, as the official plugin returns them. Unset ones are empty.

    An archive has no ``text``, and an asset has no ``assets``.
    """
    if isinstance(value, list):
        return [with_all_members(element) for element in value]
    if not isinstance(value, dict):
        return value
    members: Properties = {key: with_all_members(element) for key, element in value.items()}
    if is_asset(value):
        return {"hash": "", "path": "", "text": "", "uri": "", **members}
    if is_archive(value):
        return {"hash": "", "path": "", "uri": "", "assets": {}, **members}
    return members


def secret(value: Value) -> Value:
    return value if is_secret(value) else {SIGNATURE: SECRET, "value": value}


def unwrapped(value: Value) -> Value:
    """The value without the secret marks around it. Marks deeper inside stay."""
    while isinstance(value, dict) and value.get(SIGNATURE) == SECRET:
        value = value.get("value")
    return value


def revealed(value: Value) -> Value:
    """The value without secret marks at any depth."""
    value = unwrapped(value)
    if isinstance(value, dict):
        return {key: revealed(element) for key, element in value.items()}
    if isinstance(value, list):
        return [revealed(element) for element in value]
    return value
