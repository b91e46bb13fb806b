"""The network of a stack's servers on DigitalOcean."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_digitalocean as do
from pulumi.dynamic import Resource

from components import naming
from components.digitalocean.settings import DigitalOceanSettings
from components.digitalocean.vpc_waiter import VpcWaiterProvider
from components.target import NetworkArgs

EVERYWHERE = ("0.0.0.0/0", "::/0")
# For deletions that must wait for other deletions. The provider's own limits are between one and three minutes.
LONG_DELETE = pulumi.CustomTimeouts(delete="15m")


class VpcWaiter(Resource, module="gantry", name="Emptying"):
    """Does nothing while the VPC exists. Its deletion waits until the VPC has no members.

    It is deleted after the members and before the VPC. DigitalOcean refuses to delete a VPC that still has members:
    docs/decisions/0030-gantry-waits-until-a-vpc-is-empty.md
    """

    def __init__(self, name: str, vpc_id: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(VpcWaiterProvider(), f"{name}-emptying", {"vpc_id": vpc_id}, opts)


class Network(pulumi.ComponentResource):
    """An existing VPC or a new one, and a tag whose droplets admit SSH only from ``sshFrom``."""

    name: str
    settings: DigitalOceanSettings
    region: str
    vpc_id: pulumi.Output[str]
    cidr: pulumi.Output[str]
    tag: pulumi.Output[str]
    key: pulumi.Output[str]
    project_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: NetworkArgs[DigitalOceanSettings], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gantry:digitalocean:Network", name, None, opts)
        self.name, self.settings, label = name, args.settings, naming.label(name)
        child = pulumi.ResourceOptions(parent=self)
        long_delete = pulumi.ResourceOptions(parent=self, custom_timeouts=LONG_DELETE)
        self.region = self.settings.region
        if self.settings.vpc:
            existing = do.get_vpc(id=self.settings.vpc)
            self.vpc_id, self.cidr = pulumi.Output.from_input(existing.id), pulumi.Output.from_input(existing.ip_range)
        else:
            guarded = pulumi.ResourceOptions.merge(long_delete, pulumi.ResourceOptions(hooks=args.hooks))
            vpc = do.Vpc(label, region=self.region, ip_range=self.settings.network, opts=guarded)
            self.vpc_id, self.cidr = vpc.id, vpc.ip_range
            VpcWaiter(name, vpc.id, child)
        # Tags belong to the whole account. The random suffix of this one separates it from those of other stacks.
        self.tag = do.Tag(label, opts=child).name
        # Without a key, DigitalOcean would mail a password.
        self.key = (
            pulumi.Output.from_input(self.settings.ssh_key)
            if self.settings.ssh_key
            else do.SshKey(label, public_key=args.public_key, opts=child).fingerprint
        )
        self._firewall(label, child)
        purpose = f"{pulumi.get_project()}, stack {pulumi.get_stack()}"
        self.project_id = do.Project(label, description=purpose, purpose="Web Application", opts=long_delete).id
        self.register_outputs({"vpc_id": self.vpc_id, "cidr": self.cidr, "tag": self.tag})

    def _firewall(self, label: str, opts: pulumi.ResourceOptions) -> None:
        """Admits SSH. The rules of all firewalls of a tag add up, and the entrypoint's firewall admits HTTP."""
        do.Firewall(
            label,
            tags=[self.tag],
            inbound_rules=[
                do.FirewallInboundRuleArgs(
                    protocol="tcp", port_range="22", source_addresses=list(self.settings.ssh_from)
                ),
                do.FirewallInboundRuleArgs(protocol="icmp", source_addresses=list(EVERYWHERE)),
            ],
            outbound_rules=[
                do.FirewallOutboundRuleArgs(
                    protocol=protocol,
                    port_range=None if protocol == "icmp" else "1-65535",
                    destination_addresses=list(EVERYWHERE),
                )
                for protocol in ("tcp", "udp", "icmp")
            ],
            opts=opts,
        )


def show_in_project(
    network: Network, *, urns: Sequence[pulumi.Input[str]], depends_on: Sequence[pulumi.Resource] = ()
) -> None:
    """Move the resources with these URNs into the stack's project.

    An address and a balancer declare the same resource here. If each had its own, a change from one to the other would
    create the new resource first. The deletion of the old one would then move their droplet to the default project.
    """
    # Earlier versions had one for each.
    earlier = [
        pulumi.Alias(name=naming.label(name), parent=pulumi.create_urn(name, f"gantry:digitalocean:{kind}"))
        for name, kind in ((f"{network.name}-address", "Address"), (f"{network.name}-balancer", "Balancer"))
    ]
    do.ProjectResources(
        naming.label(network.name),
        project=network.project_id,
        resources=urns,
        opts=pulumi.ResourceOptions(depends_on=depends_on, aliases=earlier),
    )


def droplet_urn(instance_id: pulumi.Output[str]) -> pulumi.Output[str]:
    """The URN of a droplet, as DigitalOcean's projects list it."""
    return pulumi.Output.format("do:droplet:{}", instance_id)
