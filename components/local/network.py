"""The network of a stack's machines on this computer."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components.local.resources import NetworkResource
from components.local.settings import LocalSettings
from components.target import NetworkArgs


class Network(pulumi.ComponentResource):
    """A bridge with an address range that nothing else on this computer uses, and NAT to other networks."""

    network_id: pulumi.Output[str]
    cidr: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs[LocalSettings], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:local:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, hooks=args.hooks)
        # Two checkouts of a project may have stacks of the same name on one computer.
        owner = f"{pulumi.get_project()}/{pulumi.get_stack()}/{name}@{Path.cwd()}"
        bridge = NetworkResource(name, owner=owner, cidr=args.settings.network, opts=child)
        self.network_id = bridge.id
        self.cidr = bridge.range
        self.register_outputs({"network_id": self.network_id, "cidr": self.cidr})
