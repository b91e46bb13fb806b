"""The address of a single server on DigitalOcean."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_digitalocean as do
from pulumi_command import remote

from components import names
from components.digitalocean.dns import lead
from components.digitalocean.network import EVERYWHERE, Network, droplet_urn, hold
from components.target import AddressArgs, Member, Server


class Address(pulumi.ComponentResource):
    """A reserved IP that moves to another droplet when that serves; the droplet keeps its own address for SSH."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, name: str, args: AddressArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:digitalocean:Address", name, None, opts)
        self._args, self._label = args, names.label(name)
        self._child = pulumi.ResourceOptions(parent=self)
        self._reserved = do.ReservedIp(
            self._label,
            region=args.network.region,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        do.Firewall(
            f"{self._label}-web",
            tags=[args.network.tag],
            inbound_rules=[
                do.FirewallInboundRuleArgs(protocol="tcp", port_range=port, source_addresses=list(EVERYWHERE))
                for port in ("80", "443")
            ],
            opts=self._child,
        )
        self.address = self._reserved.ip_address
        self.url = pulumi.Output.format("http://{}/", args.domain if args.zone else self.address)
        self.register_outputs({"address": self.address, "url": self.url})

    def reach(self, server: Server) -> remote.ConnectionArgs:
        return server.connection

    def attach(self, members: Sequence[Member], after: Sequence[pulumi.Resource]) -> pulumi.Output[str] | None:
        (member,) = members
        args = self._args
        assigned = do.ReservedIpAssignment(
            self._label,
            ip_address=self._reserved.ip_address,
            droplet_id=member.instance_id.apply(int),
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )
        if args.zone and args.domain:
            lead(args.zone, args.domain, self.address, [assigned])
        # The reserved IP follows its droplet there; asked to move by itself, it is refused while it is assigned:
        # https://github.com/digitalocean/terraform-provider-digitalocean/issues/1264
        settled = pulumi.ResourceOptions(parent=self, depends_on=[assigned])
        hold(self._label, args.network, [droplet_urn(member.instance_id)], settled)
        return None
