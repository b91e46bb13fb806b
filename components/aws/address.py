"""The address of a single server on AWS."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws
from pulumi_command import remote

from components import naming
from components.aws.access import web_rule
from components.aws.dns import Zone
from components.aws.network import Network
from components.aws.rollout_hook import RolloutHook
from components.rollout.rollout import ReleasedServer
from components.target import AddressArgs, BalancerMachine, Server, after


class Address(pulumi.ComponentResource):
    """An Elastic IP. It moves to another server when that one serves the release."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, name: str, args: AddressArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:aws:Address", name, None, opts)
        network, label = args.network, naming.label(name)
        child = pulumi.ResourceOptions(parent=self, provider=network.provider)
        for port in (80, 443):
            web_rule(f"{label}-{port}", group=network.access.group_id, port=port, opts=child)
        protected = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(protect=network.settings.protect))
        elastic_ip = aws.ec2.Eip(label, domain="vpc", tags={"Name": label}, opts=protected)
        # The association takes the server's own address away, so all later steps use this one. A new server gets the
        # release before that: docs/decisions/0011-the-address-moves-after-the-release.md
        hook = RolloutHook(
            name,
            args.server,
            args.rollout,
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._attached(name, args, elastic_ip)),
        )
        association = aws.ec2.EipAssociation(
            label, instance_id=hook.instance_id, allocation_id=elastic_ip.id, allow_reassociation=True, opts=child
        )
        self.address = elastic_ip.public_ip
        self._address_of_server = pulumi.Output.all(elastic_ip.public_ip, association.id).apply(
            lambda values: str(values[0])
        )
        zone = network.settings.zone
        records: list[pulumi.Resource] = []
        if zone and args.domain:
            records = Zone(network, zone).point_to_address(args.domain, elastic_ip.public_ip, [association])
        self.url = after(pulumi.Output.format("http://{}/", args.domain if zone else elastic_ip.public_ip), records)
        self.register_outputs({"address": self.address, "url": self.url})

    def _attached(self, name: str, args: AddressArgs[Network], elastic_ip: aws.ec2.Eip) -> list[pulumi.Resource]:
        """The attachment of the volume, if there is one. A new server has everything but the volume before that."""
        if args.volume is None:
            return []
        # A server that has the address has had a rollout. Since then it shows its own host key, which the hook doesn't
        # know. AWS says which server that is: an `up` that failed before may have created this one.
        instance = aws.ec2.get_instance_output(instance_id=args.server.instance_id, opts=args.network.invoke)
        preparation = RolloutHook(
            name,
            args.server,
            args.rollout,
            opts=pulumi.ResourceOptions(parent=self),
            prepares=pulumi.Output.all(instance.public_ip, elastic_ip.public_ip).apply(lambda ips: ips[0] != ips[1]),
        )
        return [args.volume.attach(args.server, [preparation])]

    def connection_to(self, server: Server) -> remote.ConnectionArgs:
        first = server.connection
        return remote.ConnectionArgs(
            host=self._address_of_server,
            user=first.user,
            private_key=first.private_key,
            host_key=first.host_key,
            dial_error_limit=first.dial_error_limit,
        )

    def attach(
        self, servers: Sequence[ReleasedServer], depends_on: Sequence[pulumi.Resource]
    ) -> BalancerMachine | None:
        """Nothing is left to do: the address moved before the rollout."""
        return None
