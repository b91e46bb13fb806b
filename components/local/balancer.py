"""A balancer that is a machine on this computer, with Nginx."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_command import remote

from components import manifest, membership, proxy
from components.contact import Contact, Delivery, Host
from components.keys import SshKeyPair
from components.local.network import Network
from components.local.server import Server
from components.target import BalancerArgs, Member, ServerArgs
from components.target import Server as AnyServer


class Balancer(pulumi.ComponentResource):
    """One address for all servers: a request goes to one that answers."""

    instance_id: pulumi.Output[str]
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]
    # Where its requests come from: addresses and ranges.
    source: pulumi.Output[list[str]]
    url: pulumi.Output[str]

    def __init__(self, name: str, args: BalancerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:local:Balancer", name, None, opts)
        self._args, self._name = args, name
        child = pulumi.ResourceOptions(parent=self)
        host_key = SshKeyPair(f"{name}-first-host-key", child)
        self._machine = Server(
            name,
            ServerArgs(
                network=args.network,
                user_data=pulumi.Output.all(name, args.key.public_key, host_key.private_key, host_key.public_key).apply(
                    lambda values: proxy.user_data(*values)
                ),
                user=manifest.USER,
                private_key=args.key.private_key,
                host_key=host_key.public_key,
            ),
            child,
        )
        self.instance_id = self._machine.instance_id
        self.address, self.private_address = self._machine.address, self._machine.private_address
        self.source = self.private_address.apply(lambda address: [address])
        self.url = pulumi.Output.format("http://{}/", self.address)
        self.register_outputs(
            {"instance_id": self.instance_id, "address": self.address, "private_address": self.private_address}
        )

    def reach(self, server: AnyServer) -> remote.ConnectionArgs:
        return server.connection

    def attach(self, members: Sequence[Member], after: Sequence[pulumi.Resource]) -> pulumi.Output[str] | None:
        """Spread requests over ``members``; gives the machine's host key."""
        path = self._args.host_program_path
        contact = Contact(
            self,
            Host(name=self._name, instance_id=self.instance_id, first_contact=self._machine.connection),
            Delivery(
                host_program=self._args.host_program,
                host_program_path=path,
                configure_command=proxy.SPREAD_COMMAND,
                configuration=pulumi.Output.all(*(each.private_address for each in members)).apply(
                    lambda addresses: proxy.configuration(path, addresses).document()
                ),
            ),
            list(after),
        )
        membership.close(members, [contact.configured], pulumi.ResourceOptions(parent=self))
        return contact.host_key
