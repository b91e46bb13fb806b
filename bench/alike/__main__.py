"""The resources of another stack, registered one after the other as its state has them.

Nothing is worked out, and nothing waits for anything but its parent: it is the least that a program with these
resources takes.
"""

from __future__ import annotations

import importlib
import json
import re
import types
from pathlib import Path
from typing import Any, cast

import pulumi
from pulumi.dynamic import Resource, ResourceProvider

# https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/resource/sig/sig.go
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
# What others have added to what the program gave.
ADDED = {"__defaults", "__internal", "__provider", "version"}

dynamic: dict[str, type[Resource]] = {}
made: dict[str, Any] = {}


def registered(resource: dict[str, Any]) -> Any:
    token, name = resource["type"], resource["urn"].rpartition("::")[2]
    package, module, kind = token.split(":")
    options = pulumi.ResourceOptions(
        parent=made.get(resource.get("parent", "")),
        provider=made.get(resource.get("provider", "").rpartition("::")[0]),
    )
    if not resource["custom"]:
        return pulumi.ComponentResource(token, name, None, options)
    inputs = {key: given(value) for key, value in resource["inputs"].items() if key not in ADDED}
    if package == "pulumi":
        return pulumi.ProviderResource(kind, name, inputs, options)
    if package == "pulumi-python":
        if kind not in dynamic:
            dynamic[kind] = types.new_class(kind, (Resource,), {"module": module.partition("/")[2], "name": kind})
        return dynamic[kind](ResourceProvider(), name, inputs, options)
    sdk = importlib.import_module(f"pulumi_{package}.{module.partition('/')[0]}")
    return getattr(sdk, kind)(name, opts=options, **{snake(key): value for key, value in inputs.items()})


def given(value: Any) -> Any:
    """What a program would have given, of what a state has."""
    if isinstance(value, list):
        return [given(each) for each in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    document = cast(dict[str, Any], value)
    if document.get(SIGNATURE) == SECRET:
        return pulumi.Output.secret(given(json.loads(document["plaintext"])))
    if SIGNATURE in document:
        return pulumi.FileAsset(document["path"])
    return {key: given(each) for key, each in document.items()}


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)


for each in json.loads(Path(pulumi.Config().require("resources")).read_text()):
    made[each["urn"]] = registered(each)
