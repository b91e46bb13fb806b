"""The address of a single server on this computer."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.local.network import Network
from components.rollout.rollout import ReleasedServer
from components.target import AddressArgs, BalancerMachine, KeepsServerAddresses


class Address(KeepsServerAddresses):
    """The machine's own address. It changes with the machine."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, _name: str, args: AddressArgs[Network]) -> None:
        self.address = args.server.address
        self.url = pulumi.Output.format("http://{}/", self.address)

    def attach(
        self, servers: Sequence[ReleasedServer], depends_on: Sequence[pulumi.Resource]
    ) -> BalancerMachine | None:
        return None
