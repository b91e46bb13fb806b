"""The network of a stack's servers on DigitalOcean."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_digitalocean as do
from pulumi.dynamic import Resource

from components import names
from components.emptying import Emptier
from components.target import NetworkArgs

EVERYWHERE = ("0.0.0.0/0", "::/0")
# For what must wait for others to go: the provider's own limits are between one and three minutes.
PATIENCE = pulumi.CustomTimeouts(delete="15m")


class Emptying(Resource, module="gantry", name="Emptying"):
    """Nothing while the VPC is there; its deletion, before the VPC's and after its members', waits until these left.

    Until then the VPC's deletion is refused, which the provider doesn't try again:
    https://github.com/digitalocean/terraform-provider-digitalocean/issues/1368
    """

    def __init__(self, name: str, vpc_id: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(Emptier(), f"{name}-emptying", {"vpc_id": vpc_id}, opts)


class Network(pulumi.ComponentResource):
    """A VPC that is given or made, and a tag whose droplets admit SSH from the named networks only."""

    region: str
    vpc_id: pulumi.Output[str]
    cidr: pulumi.Output[str]
    tag: pulumi.Output[str]
    key: pulumi.Output[str]
    project_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:digitalocean:Network", name, None, opts)
        child, label = pulumi.ResourceOptions(parent=self), names.label(name)
        patient = pulumi.ResourceOptions(parent=self, custom_timeouts=PATIENCE)
        self.region = args.region
        if args.vpc:
            given = do.get_vpc(id=args.vpc)
            self.vpc_id, self.cidr = pulumi.Output.from_input(given.id), pulumi.Output.from_input(given.ip_range)
        else:
            vpc = do.Vpc(label, region=args.region, ip_range=args.cidr, opts=patient)
            self.vpc_id, self.cidr = vpc.id, vpc.ip_range
            Emptying(name, vpc.id, child)
        # With its own suffix it is no other stack's: tags are the whole account's.
        self.tag = do.Tag(label, opts=child).name
        # Without a key a password would be mailed.
        self.key = (
            pulumi.Output.from_input(args.ssh_key)
            if args.ssh_key
            else do.SshKey(label, public_key=args.public_key, opts=child).fingerprint
        )
        self._firewall(label, args.ssh_from, child)
        purpose = f"{pulumi.get_project()}, stack {pulumi.get_stack()}"
        self.project_id = do.Project(label, description=purpose, purpose="Web Application", opts=patient).id
        self.register_outputs({"vpc_id": self.vpc_id, "cidr": self.cidr, "tag": self.tag})

    def _firewall(self, label: str, ssh_from: Sequence[str], opts: pulumi.ResourceOptions) -> None:
        """Firewalls of one tag add up: what is in front of the servers adds HTTP."""
        do.Firewall(
            label,
            tags=[self.tag],
            inbound_rules=[
                do.FirewallInboundRuleArgs(protocol="tcp", port_range="22", source_addresses=list(ssh_from)),
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


def hold(
    name: str, network: Network, urns: Sequence[pulumi.Input[str]], opts: pulumi.ResourceOptions | None = None
) -> None:
    """Show these in the stack's project."""
    do.ProjectResources(name, project=network.project_id, resources=urns, opts=opts)


def droplet_urn(instance_id: pulumi.Output[str]) -> pulumi.Output[str]:
    """What a project calls a droplet."""
    return pulumi.Output.format("do:droplet:{}", instance_id)
