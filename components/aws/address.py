"""The address of a single server on AWS."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws
from pulumi_command import remote

from components import names
from components.aws.access import web_rule
from components.aws.dns import Zone
from components.aws.network import Network
from components.handover import Handover
from components.target import AddressArgs, Member, Server


class Address(pulumi.ComponentResource):
    """An Elastic IP that moves to another server when that serves the release."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, name: str, args: AddressArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:aws:Address", name, None, opts)
        network, label = args.network, names.label(name)
        child = pulumi.ResourceOptions(parent=self, provider=network.provider)
        for port in (80, 443):
            web_rule(f"{label}-{port}", network.access.group_id, port, child)
        kept = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(protect=args.protect))
        own = aws.ec2.Eip(label, domain="vpc", tags={"Name": label}, opts=kept)
        # Once it has this address a server has lost its own, so all that comes later uses this one. A new server gets
        # the release before: docs/decisions/0011-the-address-moves-after-the-release.md
        handover = Handover(name, args.server, args.delivery, pulumi.ResourceOptions(parent=self))
        moved = aws.ec2.EipAssociation(
            label, instance_id=handover.instance_id, allocation_id=own.id, allow_reassociation=True, opts=child
        )
        self.address = own.public_ip
        self._reached = pulumi.Output.all(own.public_ip, moved.id).apply(lambda known: str(known[0]))
        if args.zone and args.domain:
            Zone(network, args.zone).to_address(args.domain, own.public_ip, [moved])
        self.url = pulumi.Output.format("http://{}/", args.domain if args.zone else own.public_ip)
        self.register_outputs({"address": self.address, "url": self.url})

    def reach(self, server: Server) -> remote.ConnectionArgs:
        first = server.connection
        return remote.ConnectionArgs(
            host=self._reached,
            user=first.user,
            private_key=first.private_key,
            host_key=first.host_key,
            dial_error_limit=first.dial_error_limit,
        )

    def attach(self, members: Sequence[Member], after: Sequence[pulumi.Resource]) -> pulumi.Output[str] | None:
        return None
