"""The network of a stack's servers on AWS."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components import names
from components.aws import image, subnets
from components.aws.access import EVERYWHERE, Access
from components.target import NetworkArgs

# Beside the range of the local target's networks, which a computer with both would have twice.
RANGE = "10.78.0.0/16"


class Network(pulumi.ComponentResource):
    """Public subnets in two zones, of a VPC that is given or made, and who may do what there."""

    provider: aws.Provider
    vpc_id: pulumi.Output[str]
    # Where the subnets are, and with them a balancer.
    ranges: pulumi.Output[list[str]]
    subnets: list[pulumi.Output[str]]
    access: Access

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:aws:Network", name, None, opts)
        # By these, and by Name, what was made unheard is found after a kill: tools/recover/aws.py
        tags = {"Project": pulumi.get_project(), "Stack": pulumi.get_stack(), "ManagedBy": "gantry"}
        self.provider = aws.Provider(
            name,
            region=args.region,
            default_tags=aws.ProviderDefaultTagsArgs(tags=tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.invoke = pulumi.InvokeOptions(provider=self.provider)
        self._child = pulumi.ResourceOptions(parent=self, provider=self.provider)
        self._images: dict[str, str] = {}
        if args.vpc:
            self._take(args.vpc)
        else:
            self._make(names.label(name), args.cidr or RANGE)
        self.access = Access(name, self.vpc_id, args, self._child)
        self.register_outputs({"vpc_id": self.vpc_id, "ranges": self.ranges, "subnets": self.subnets})

    def image(self, size: str) -> str:
        """The id of the image for an instance of this type, looked up once."""
        if size not in self._images:
            self._images[size] = image.find(size, self.invoke)
        return self._images[size]

    def _take(self, vpc: str) -> None:
        self.vpc_id = pulumi.Output.from_input(vpc)
        public = {"vpc-id": [vpc], "map-public-ip-on-launch": ["true"]}
        filters = [aws.ec2.GetSubnetsFilterArgs(name=key, values=values) for key, values in public.items()]
        found = aws.ec2.get_subnets(filters=filters, opts=self.invoke)
        asked = {each: aws.ec2.get_subnet(id=each, opts=self.invoke) for each in found.ids}
        chosen = subnets.one_a_zone(vpc, [(subnet.availability_zone, each) for each, subnet in asked.items()])
        self.subnets = [pulumi.Output.from_input(each) for each in chosen]
        # A VPC may have several ranges, and names one of them.
        self.ranges = pulumi.Output.from_input([asked[each].cidr_block for each in chosen])

    def _make(self, name: str, cidr: str) -> None:
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": name},
            opts=self._child,
        )
        self.vpc_id, self.ranges = vpc.id, vpc.cidr_block.apply(lambda known: [known])
        # Of one VPC for all its life: servers of the old one still have public addresses, and keep it from leaving.
        with_vpc = pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(replacement_trigger=vpc.id))
        gateway = aws.ec2.InternetGateway(name, vpc_id=vpc.id, tags={"Name": name}, opts=with_vpc)
        table = aws.ec2.RouteTable(name, vpc_id=vpc.id, tags={"Name": name}, opts=self._child)
        aws.ec2.Route(
            name, route_table_id=table.id, destination_cidr_block=EVERYWHERE, gateway_id=gateway.id, opts=self._child
        )
        self.subnets = [
            self._subnet(f"{name}-{number}", vpc.id, zone, part, table.id)
            for number, (zone, part) in enumerate(zip(self._zones(), subnets.ranges(cidr), strict=True))
        ]

    def _zones(self) -> list[str]:
        """Of the zones that need no opting in."""
        filters = [aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])]
        return subnets.zones(aws.get_availability_zones(state="available", filters=filters, opts=self.invoke).names)

    def _subnet(
        self, name: str, vpc: pulumi.Input[str], zone: str, cidr: str, table: pulumi.Input[str]
    ) -> pulumi.Output[str]:
        subnet = aws.ec2.Subnet(
            name,
            vpc_id=vpc,
            cidr_block=cidr,
            availability_zone=zone,
            # Not the instance's own flag: a stopped one has no address, and would be replaced for that.
            map_public_ip_on_launch=True,
            tags={"Name": name},
            # A zone that is out isn't among those that are looked up: that must not move what is there.
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(ignore_changes=["availabilityZone"])),
        )
        aws.ec2.RouteTableAssociation(name, route_table_id=table, subnet_id=subnet.id, opts=self._child)
        return subnet.id
