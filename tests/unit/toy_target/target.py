"""The classes of the toy target, as components/target.py describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_command import remote

from components import balancing
from components.rollout.rollout import ReleasedServer
from components.target import AddressArgs, BalancerArgs, BalancerMachine, NetworkArgs, ServerArgs, first_connection
from components.target import Server as AnyServer
from tests.unit.toy_target.settings import ToySettings


class Thing(pulumi.CustomResource):
    """A resource of the toy's own provider, which would give it an address."""

    address: pulumi.Output[str]

    def __init__(self, kind: str, name: str, inputs: Mapping[str, object], opts: pulumi.ResourceOptions) -> None:
        super().__init__(f"toy:index:{kind}", name, {**inputs, "address": None}, opts)


class Network(pulumi.ComponentResource):
    """A room."""

    settings: ToySettings

    def __init__(self, name: str, args: NetworkArgs[ToySettings], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:toy:Network", name, None, opts)
        self.settings = args.settings
        room = Thing("Room", name, {"room": args.settings.room}, pulumi.ResourceOptions(parent=self))
        self.room_id = room.id
        self.register_outputs({"room_id": self.room_id})


class Server(pulumi.ComponentResource):
    """A box in the room."""

    instance_id: pulumi.Output[str]
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]
    connection: remote.ConnectionArgs

    def __init__(self, name: str, args: ServerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:toy:Server", name, None, opts)
        inputs = {"room": args.network.room_id, "size": args.network.settings.box_size, "user_data": args.user_data}
        box = Thing("Box", name, inputs, pulumi.ResourceOptions(parent=self))
        self.instance_id = box.id
        self.address = self.private_address = box.address
        self.connection = first_connection(self.address, args)
        self.register_outputs({"instance_id": self.instance_id, "address": self.address})


class Balancer(pulumi.ComponentResource):
    """A switch in front of the boxes."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]
    source: pulumi.Output[list[str]]

    def __init__(self, name: str, args: BalancerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:toy:Balancer", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        inputs = {"room": args.network.room_id, "health_path": args.health_path}
        self._switch = Thing("Switch", name, inputs, self._child)
        self.address = self._switch.address
        self.url = pulumi.Output.format("http://{}/", self.address)
        self.source = self.address.apply(lambda address: [address])
        self.register_outputs({"address": self.address, "url": self.url})

    def connection_to(self, server: AnyServer) -> remote.ConnectionArgs:
        return server.connection

    def attach(
        self, servers: Sequence[ReleasedServer], depends_on: Sequence[pulumi.Resource]
    ) -> BalancerMachine | None:
        healthy = [
            balancing.wait_until_healthy(
                server,
                balancer=self.source,
                status=self._args.health_status,
                depends_on=[self._cable(server, depends_on)],
                opts=self._child,
            )
            for server in servers
        ]
        balancing.close(servers, depends_on=healthy, opts=self._child)
        return None

    def _cable(self, server: ReleasedServer, depends_on: Sequence[pulumi.Resource]) -> Thing:
        drain = balancing.ServerDrain(server, self._args.drain_seconds, self._child)
        inputs = {"switch": self._switch.id, "box": server.instance_id}
        after = pulumi.ResourceOptions(depends_on=[*depends_on, drain])
        return Thing("Cable", f"{server.name}-cable", inputs, pulumi.ResourceOptions.merge(self._child, after))


class Address:
    """The address of a single box."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, name: str, args: AddressArgs[Network]) -> None:
        self.address = args.server.address
        self.url = pulumi.Output.format("http://{}/", self.address)

    def connection_to(self, server: AnyServer) -> remote.ConnectionArgs:
        return server.connection

    def attach(
        self, servers: Sequence[ReleasedServer], depends_on: Sequence[pulumi.Resource]
    ) -> BalancerMachine | None:
        return None
