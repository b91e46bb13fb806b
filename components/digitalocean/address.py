"""The address of a single server on DigitalOcean."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_digitalocean as do

from components import naming
from components.digitalocean.dns import point_to
from components.digitalocean.network import EVERYWHERE, Network, droplet_urn, show_in_project
from components.rollout.rollout import ReleasedServer
from components.target import AddressArgs, BalancerMachine, KeepsServerAddresses, after


class Address(KeepsServerAddresses, pulumi.ComponentResource):
    """A reserved IP. It moves to another droplet when that one serves; a droplet keeps its own address for SSH."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, name: str, args: AddressArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:digitalocean:Address", name, None, opts)
        self._args, self._label = args, naming.label(name)
        self._child_opts = pulumi.ResourceOptions(parent=self)
        self._reserved = do.ReservedIp(
            self._label,
            region=args.network.region,
            opts=pulumi.ResourceOptions(parent=self, protect=args.network.settings.protect),
        )
        do.Firewall(
            f"{self._label}-web",
            tags=[args.network.tag],
            inbound_rules=[
                do.FirewallInboundRuleArgs(protocol="tcp", port_range=port, source_addresses=list(EVERYWHERE))
                for port in ("80", "443")
            ],
            opts=self._child_opts,
        )
        self.address = self._reserved.ip_address
        self.url = pulumi.Output.format("http://{}/", args.domain if args.network.settings.zone else self.address)
        self.register_outputs({"address": self.address, "url": self.url})

    def attach(
        self, servers: Sequence[ReleasedServer], depends_on: Sequence[pulumi.Resource]
    ) -> BalancerMachine | None:
        (server,) = servers
        network, domain = self._args.network, self._args.domain
        assignment = do.ReservedIpAssignment(
            self._label,
            ip_address=self._reserved.ip_address,
            droplet_id=server.instance_id.apply(int),
            opts=pulumi.ResourceOptions(parent=self, depends_on=depends_on),
        )
        if network.settings.zone and domain:
            records = point_to(self.address, zone=network.settings.zone, domain=domain, depends_on=[assignment])
            self.url = after(self.url, records)
        # The reserved IP follows its droplet into the project. Its own move is refused while it is assigned:
        # https://github.com/digitalocean/terraform-provider-digitalocean/issues/1264
        show_in_project(network, urns=[droplet_urn(server.instance_id)], depends_on=[assignment])
        return None
