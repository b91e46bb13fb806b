"""Registers as many resources of each kind as the settings say. They do nothing."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
from pulumi_command import local


class Provider(ResourceProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult("nothing", props)


class Nothing(Resource, module="minimal", name="Nothing"):
    def __init__(self, name: str) -> None:
        super().__init__(Provider(), name, {})


config = pulumi.Config()
for number in range(config.require_int("components")):
    pulumi.ComponentResource("minimal:index:Component", f"component-{number}")
for number in range(config.require_int("dynamic")):
    Nothing(f"dynamic-{number}")
for number in range(config.require_int("commands")):
    local.Command(f"command-{number}", create="true")
