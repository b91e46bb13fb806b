"""The network of a stack's servers on AWS."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components import naming
from components.aws import image, subnets
from components.aws.access import EVERYWHERE, Access
from components.aws.settings import AwsSettings
from components.target import NetworkArgs

# Not the range of the local target's networks: a computer may reach both.
DEFAULT_RANGE = "10.78.0.0/16"


class Network(pulumi.ComponentResource):
    """Public subnets in two zones, of an existing VPC or a new one, and who may reach the servers in them."""

    settings: AwsSettings
    provider: aws.Provider
    vpc_id: pulumi.Output[str]
    # The address ranges of the subnets, and so of a balancer.
    ranges: pulumi.Output[list[str]]
    subnets: list[pulumi.Output[str]]
    # The zones of the subnets, in the same order.
    zones: list[pulumi.Output[str]]
    access: Access

    def __init__(self, name: str, args: NetworkArgs[AwsSettings], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:aws:Network", name, None, opts)
        self.settings = args.settings
        # tools/recover/aws.py finds resources by these tags and by Name after a killed `up`.
        tags = {"Project": pulumi.get_project(), "Stack": pulumi.get_stack(), "ManagedBy": "gantry"}
        self.provider = aws.Provider(
            name,
            region=args.settings.region,
            default_tags=aws.ProviderDefaultTagsArgs(tags=tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.invoke = pulumi.InvokeOptions(provider=self.provider)
        self._child_opts = pulumi.ResourceOptions(parent=self, provider=self.provider)
        self._images: dict[str, str] = {}
        if args.settings.vpc:
            self._use_existing(args.settings.vpc)
        else:
            self._create(naming.label(name), args.settings.network or DEFAULT_RANGE, args.hooks)
        self.access = Access(name, self.vpc_id, args, opts=self._child_opts)
        self.register_outputs({"vpc_id": self.vpc_id, "ranges": self.ranges, "subnets": self.subnets})

    def image(self, size: str) -> str:
        """The id of the image for an instance of this type, looked up once."""
        if size not in self._images:
            self._images[size] = image.find(size, self.invoke)
        return self._images[size]

    @property
    def first_zone(self) -> pulumi.Output[str]:
        """The zone of the subnet that the first server is in."""
        return self.zones[0]

    def subnet_in(self, zone: pulumi.Output[str]) -> pulumi.Output[str]:
        """The subnet in this zone. Raises UserError if there is none any more."""
        return pulumi.Output.all(zone, self.zones, self.subnets).apply(lambda values: subnets.in_zone(*values))

    def _use_existing(self, vpc: str) -> None:
        self.vpc_id = pulumi.Output.from_input(vpc)
        public = {"vpc-id": [vpc], "map-public-ip-on-launch": ["true"]}
        filters = [aws.ec2.GetSubnetsFilterArgs(name=key, values=values) for key, values in public.items()]
        ids = aws.ec2.get_subnets(filters=filters, opts=self.invoke).ids
        by_id = {id: aws.ec2.get_subnet(id=id, opts=self.invoke) for id in ids}
        chosen = subnets.one_per_zone(vpc, [(subnet.availability_zone, id) for id, subnet in by_id.items()])
        self.subnets = [pulumi.Output.from_input(id) for id in chosen]
        self.zones = [pulumi.Output.from_input(by_id[id].availability_zone) for id in chosen]
        # The subnets' ranges, since a VPC may have several ranges and shows only one.
        self.ranges = pulumi.Output.from_input([by_id[id].cidr_block for id in chosen])

    def _create(self, name: str, cidr: str, hooks: pulumi.ResourceHookBinding | None) -> None:
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": name},
            opts=pulumi.ResourceOptions.merge(self._child_opts, pulumi.ResourceOptions(hooks=hooks)),
        )
        self.vpc_id, self.ranges = vpc.id, vpc.cidr_block.apply(lambda cidr: [cidr])
        # A gateway can't move to another VPC while servers of the old one have public addresses.
        with_vpc = pulumi.ResourceOptions.merge(self._child_opts, pulumi.ResourceOptions(replacement_trigger=vpc.id))
        gateway = aws.ec2.InternetGateway(name, vpc_id=vpc.id, tags={"Name": name}, opts=with_vpc)
        table = aws.ec2.RouteTable(name, vpc_id=vpc.id, tags={"Name": name}, opts=self._child_opts)
        aws.ec2.Route(
            name,
            route_table_id=table.id,
            destination_cidr_block=EVERYWHERE,
            gateway_id=gateway.id,
            opts=self._child_opts,
        )
        created = [
            self._subnet(f"{name}-{number}", vpc=vpc.id, zone=zone, cidr=subnet_range, table=table.id)
            for number, (zone, subnet_range) in enumerate(zip(self._zones(), subnets.ranges(cidr), strict=True))
        ]
        self.subnets = [subnet.id for subnet in created]
        # An existing subnet may be in another zone than the one that it was asked for now.
        self.zones = [subnet.availability_zone for subnet in created]

    def _zones(self) -> list[str]:
        """Two zones that need no opt-in."""
        filters = [aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])]
        return subnets.zones(aws.get_availability_zones(state="available", filters=filters, opts=self.invoke).names)

    def _subnet(
        self, name: str, *, vpc: pulumi.Input[str], zone: str, cidr: str, table: pulumi.Input[str]
    ) -> aws.ec2.Subnet:
        subnet = aws.ec2.Subnet(
            name,
            vpc_id=vpc,
            cidr_block=cidr,
            availability_zone=zone,
            # The same flag of an instance would replace a stopped instance, because that has no public address.
            map_public_ip_on_launch=True,
            tags={"Name": name},
            # The look-up leaves out a zone that is down. That must not move existing subnets.
            opts=pulumi.ResourceOptions.merge(
                self._child_opts, pulumi.ResourceOptions(ignore_changes=["availabilityZone"])
            ),
        )
        aws.ec2.RouteTableAssociation(name, route_table_id=table, subnet_id=subnet.id, opts=self._child_opts)
        return subnet
