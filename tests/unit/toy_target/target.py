"""The classes of the toy target, as components/target.py describes them. Real targets make each one a component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_command import remote

from components import balancing
from components.rollout.rollout import ReleasedServer
from components.target import AddressArgs, BalancerArgs, NetworkArgs, ServerArgs, VolumeArgs, first_connection
from components.target import Server as AnyServer
from tests.unit.toy_target.settings import ToySettings


class Thing(pulumi.CustomResource):
    """A resource of the toy's own provider, which gives it an address."""

    address: pulumi.Output[str]

    def __init__(
        self,
        kind: str,
        name: str,
        inputs: Mapping[str, object],
        after: Sequence[pulumi.Resource] = (),
        hooks: pulumi.ResourceHookBinding | None = None,
    ) -> None:
        opts = pulumi.ResourceOptions(depends_on=after, hooks=hooks)
        super().__init__(f"toy:index:{kind}", name, {**inputs, "address": None}, opts)


class Network:
    """A room."""

    def __init__(self, name: str, args: NetworkArgs[ToySettings]) -> None:
        self.settings = args.settings
        self.room_id = Thing("Room", name, {"room": args.settings.room}, hooks=args.hooks).id


class Volume:
    """A drawer, which any box in the room can hold."""

    def __init__(self, name: str, args: VolumeArgs[Network]) -> None:
        self._drawer = Thing("Drawer", name, {"room": args.network.room_id, "size": args.gigabytes})
        self.volume_id = self._drawer.id
        self.path = self._drawer.id.apply(lambda id: f"/dev/drawer-{id}")
        self.location = args.network.room_id

    def attach(self, server: AnyServer, depends_on: Sequence[pulumi.Resource]) -> pulumi.CustomResource:
        inputs = {"drawer": self._drawer.id, "box": server.instance_id}
        return Thing("DrawerInBox", "drawer-in-box", inputs, after=depends_on)


class Server:
    """A box in the room."""

    def __init__(self, name: str, args: ServerArgs[Network]) -> None:
        size = args.network.settings.box_size
        inputs = {"room": args.network.room_id, "size": size, "user_data": args.user_data}
        box = Thing("Box", name, inputs, hooks=args.hooks)
        self.instance_id = box.id
        self.address = self.private_address = box.address
        self.connection = first_connection(box.address, args)


class Entrypoint:
    """What the toy's balancer and its address have in common."""

    def __init__(self, address: pulumi.Output[str]) -> None:
        self.address = address
        self.url = pulumi.Output.format("http://{}/", address)

    def connection_to(self, server: AnyServer) -> remote.ConnectionArgs:
        return server.connection


class Balancer(Entrypoint):
    """A switch in front of the boxes."""

    def __init__(self, name: str, args: BalancerArgs[Network]) -> None:
        self._args = args
        self._switch = Thing("Switch", name, {"room": args.network.room_id, "health_path": args.health_path})
        super().__init__(self._switch.address)
        self.sender_ranges = self.address.apply(lambda address: [address])

    def attach(self, servers: Sequence[ReleasedServer], depends_on: Sequence[pulumi.Resource]) -> None:
        healthy = [self._join(server, depends_on) for server in servers]
        balancing.close(servers, depends_on=healthy)

    def _join(self, server: ReleasedServer, depends_on: Sequence[pulumi.Resource]) -> remote.Command:
        drain = balancing.ServerDrain(server, self._args.drain_seconds)
        inputs = {"switch": self._switch.id, "box": server.instance_id}
        cable = Thing("Cable", f"{server.name}-cable", inputs, after=[*depends_on, drain])
        status = self._args.health_status
        return balancing.wait_until_healthy(server, balancer=self.sender_ranges, status=status, depends_on=[cable])


class Address(Entrypoint):
    """The address of a single box."""

    def __init__(self, _name: str, args: AddressArgs[Network]) -> None:
        super().__init__(args.server.address)

    def attach(self, servers: Sequence[ReleasedServer], depends_on: Sequence[pulumi.Resource]) -> None:
        """Nothing is left to do: the address belongs to the box."""
