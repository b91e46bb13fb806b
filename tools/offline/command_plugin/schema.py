"""The properties of each resource: names, types, defaults, and which changes replace the resource."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .values import Properties, Value, is_archive, is_asset, is_secret, is_unknown, secret, unwrapped


class Kind(Enum):
    STRING = "a string"
    NUMBER = "a number"
    # The official plugin cuts a fraction off.
    INTEGER = "an integer"
    BOOLEAN = "a boolean"
    LIST = "a list"
    MAP = "a map"
    OBJECT = "an object"
    SOURCE = "an asset or an archive"
    ANY = "any value"


@dataclass(frozen=True, kw_only=True)
class Property:
    kind: Kind
    required: bool = False
    default: float | str | None = None
    secret: bool = False
    replaces: bool = False
    element: Property | None = None
    fields: dict[str, Property] = field(default_factory=dict[str, "Property"])


@dataclass(frozen=True, kw_only=True)
class Resource:
    inputs: dict[str, Property]
    outputs: tuple[str, ...] = ()
    updates: bool = True


STRING = Property(kind=Kind.STRING)
REQUIRED_STRING = Property(kind=Kind.STRING, required=True)
STRINGS = Property(kind=Kind.LIST, element=STRING)
# The official plugin marks these also inside a connection, which is secret as a whole.
SECRET_STRING = Property(kind=Kind.STRING, secret=True)
TRIGGERS = Property(kind=Kind.LIST, element=Property(kind=Kind.ANY), replaces=True)

_ENDPOINT = {
    "host": REQUIRED_STRING,
    "user": Property(kind=Kind.STRING, default="root"),
    "port": Property(kind=Kind.NUMBER, default=22),
    "password": SECRET_STRING,
    "privateKey": SECRET_STRING,
    "privateKeyPassword": SECRET_STRING,
    "agentSocketPath": STRING,
    "hostKey": STRING,
    "dialErrorLimit": Property(kind=Kind.INTEGER, default=10),
    "perDialTimeout": Property(kind=Kind.INTEGER, default=15),
}
_PROXY = Property(kind=Kind.OBJECT, fields=_ENDPOINT)
CONNECTION = Property(kind=Kind.OBJECT, required=True, secret=True, fields={**_ENDPOINT, "proxy": _PROXY})

_PROCESS = {
    "stdin": STRING,
    "logging": STRING,
    "environment": Property(kind=Kind.MAP, element=STRING),
    "addPreviousOutputInEnv": Property(kind=Kind.BOOLEAN),
}
_LOCAL = {
    **_PROCESS,
    "dir": STRING,
    "interpreter": STRINGS,
    "assetPaths": STRINGS,
    "archivePaths": STRINGS,
}
_LIFECYCLE = {"create": STRING, "update": STRING, "delete": STRING, "triggers": TRIGGERS}

LOCAL_COMMAND = "command:local:Command"
REMOTE_COMMAND = "command:remote:Command"
COPY_TO_REMOTE = "command:remote:CopyToRemote"
COPY_FILE = "command:remote:CopyFile"
LOCAL_RUN = "command:local:run"

RESOURCES = {
    LOCAL_COMMAND: Resource(inputs={**_LIFECYCLE, **_LOCAL}, outputs=("stdout", "stderr", "assets", "archive")),
    REMOTE_COMMAND: Resource(inputs={**_LIFECYCLE, **_PROCESS, "connection": CONNECTION}, outputs=("stdout", "stderr")),
    COPY_TO_REMOTE: Resource(
        inputs={
            "connection": CONNECTION,
            "source": Property(kind=Kind.SOURCE, required=True),
            "remotePath": REQUIRED_STRING,
            "triggers": TRIGGERS,
        }
    ),
    # Deprecated. The official plugin has no update for it: each change creates a new resource.
    COPY_FILE: Resource(
        inputs={
            "connection": CONNECTION,
            "localPath": REQUIRED_STRING,
            "remotePath": REQUIRED_STRING,
            "triggers": TRIGGERS,
        },
        updates=False,
    ),
}
RUN_INPUTS = {**_LOCAL, "command": REQUIRED_STRING}


@dataclass(frozen=True)
class Failure:
    property: str
    reason: str


def checked(inputs: Properties, properties: dict[str, Property]) -> tuple[Properties, list[Failure]]:
    """The inputs with defaults and secret marks, and the failures of their check."""
    failures: list[Failure] = []
    result = _check_fields(inputs, properties, prefix="", failures=failures)
    return result, failures


def _check_fields(
    inputs: Properties, properties: dict[str, Property], *, prefix: str, failures: list[Failure]
) -> Properties:
    result: Properties = {}
    for name, value in inputs.items():
        if value is None:
            continue
        schema = properties.get(name)
        if schema is None:
            failures.append(Failure(prefix + name, f"unrecognized property '{name}'"))
            result[name] = value
        else:
            result[name] = _check_value(value, schema, path=prefix + name, failures=failures)
    for name, schema in properties.items():
        if inputs.get(name) is not None:
            continue
        if schema.required:
            failures.append(Failure(prefix + name, f"missing required property '{name}'"))
        elif schema.default is not None:
            result[name] = schema.default
    return result


def _check_value(value: Value, schema: Property, *, path: str, failures: list[Failure]) -> Value:
    inner = unwrapped(value)
    if inner is not None and not is_unknown(inner):
        if not _fits(inner, schema.kind):
            # The path and not the top-level name: the engine prints the value of a property with that name.
            failures.append(Failure(path, f"expected {schema.kind.value}"))
        else:
            inner = _check_inside(inner, schema, path=path, failures=failures)
    return secret(inner) if schema.secret or is_secret(value) else inner


def _check_inside(value: Value, schema: Property, *, path: str, failures: list[Failure]) -> Value:
    if schema.kind is Kind.OBJECT and isinstance(value, dict):
        return _check_fields(value, schema.fields, prefix=f"{path}.", failures=failures)
    if isinstance(value, list) and schema.element is not None:
        return [
            _check_value(element, schema.element, path=f"{path}[{index}]", failures=failures)
            for index, element in enumerate(value)
        ]
    if isinstance(value, dict) and schema.element is not None:
        return {
            key: _check_value(element, schema.element, path=f"{path}.{key}", failures=failures)
            for key, element in value.items()
            if element is not None
        }
    if schema.kind is Kind.INTEGER and isinstance(value, int | float):
        return int(value)
    return value


def _fits(value: Value, kind: Kind) -> bool:
    match kind:
        case Kind.STRING:
            return isinstance(value, str)
        case Kind.NUMBER | Kind.INTEGER:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.LIST:
            return isinstance(value, list)
        case Kind.MAP | Kind.OBJECT:
            return isinstance(value, dict)
        case Kind.SOURCE:
            return is_asset(value) or is_archive(value)
        case Kind.ANY:
            return True
