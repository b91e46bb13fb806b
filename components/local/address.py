"""The address of a single server on this computer."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_command import remote

from components.local.network import Network
from components.target import AddressArgs, Member, Server


class Address:
    """The machine's own address: another machine has another one."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, _name: str, args: AddressArgs[Network]) -> None:
        self.address = args.server.address
        self.url = pulumi.Output.format("http://{}/", self.address)

    def reach(self, server: Server) -> remote.ConnectionArgs:
        return server.connection

    def attach(self, members: Sequence[Member], after: Sequence[pulumi.Resource]) -> pulumi.Output[str] | None:
        return None
