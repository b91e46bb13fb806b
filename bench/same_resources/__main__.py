"""Registers the resources of another stack one after the other, as its state lists them.

It computes nothing, and a resource waits only for its parent. No program with these resources can do less.
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
# Inputs in a state that don't come from the program. AWS's provider adds `tagsAll`: a resource's and the default tags.
ADDED_INPUTS = {"__defaults", "__internal", "__provider", "tagsAll", "version"}

dynamic: dict[str, type[Resource]] = {}
by_urn: dict[str, Any] = {}


def register(resource: dict[str, Any]) -> Any:
    token, name = resource["type"], resource["urn"].rpartition("::")[2]
    package, module, kind = token.split(":")
    options = pulumi.ResourceOptions(
        parent=by_urn.get(resource.get("parent", "")),
        provider=by_urn.get(resource.get("provider", "").rpartition("::")[0]),
    )
    if not resource["custom"]:
        return pulumi.ComponentResource(token, name, opts=options)
    inputs = {key: program_value(value) for key, value in resource["inputs"].items() if key not in ADDED_INPUTS}
    if package == "pulumi":
        return pulumi.ProviderResource(kind, name, props=inputs, opts=options)
    if package == "pulumi-python":
        if kind not in dynamic:
            dynamic[kind] = types.new_class(kind, (Resource,), {"module": module.partition("/")[2], "name": kind})
        return dynamic[kind](ResourceProvider(), name, props=inputs, opts=options)
    sdk = importlib.import_module(f"pulumi_{package}.{module.partition('/')[0]}")
    return getattr(sdk, kind)(name, opts=options, **{snake(key): value for key, value in inputs.items()})


def program_value(value: Any) -> Any:
    """A value as the program passed it, from the value in the state."""
    if isinstance(value, list):
        return [program_value(item) for item in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    document = cast(dict[str, Any], value)
    if document.get(SIGNATURE) == SECRET:
        return pulumi.Output.secret(program_value(json.loads(document["plaintext"])))
    if SIGNATURE in document:
        return pulumi.FileAsset(document["path"])
    return {key: program_value(item) for key, item in document.items()}


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


for resource in json.loads(Path(pulumi.Config().require("resources")).read_text()):
    by_urn[resource["urn"]] = register(resource)
