"""A VPC on the simulated AWS, and instances in it, for the tests of that cloud."""

from __future__ import annotations

from typing import Any

from tests.clouds.aws import DEBIAN_ACCOUNT, SimulatedAws
from tests.clouds.engine_client import EngineClient
from tests.clouds.infrastructure import RecordedInfrastructure, Topology
from tests.clouds.simulated_cloud import token_of

TOKENS = {
    name: token_of("aws", module, name)
    for module, names in {
        "ec2": "Vpc Subnet InternetGateway RouteTable Route RouteTableAssociation SecurityGroup Instance Eip"
        " EipAssociation",
        "vpc": "SecurityGroupIngressRule SecurityGroupEgressRule",
        "lb": "LoadBalancer TargetGroup",
    }.items()
    for name in names.split()
}


class PublicVpc:
    """A VPC with two public subnets and a security group."""

    def __init__(self, engine: EngineClient) -> None:
        self.vpc, _ = engine.create(TOKENS["Vpc"], cidrBlock="10.60.0.0/16")
        gateway, _ = engine.create(TOKENS["InternetGateway"], vpcId=self.vpc)
        table, _ = engine.create(TOKENS["RouteTable"], vpcId=self.vpc)
        engine.create(TOKENS["Route"], routeTableId=table, destinationCidrBlock="0.0.0.0/0", gatewayId=gateway)
        self.subnets: list[str] = []
        for number, zone in enumerate("ab"):
            subnet, _ = engine.create(
                TOKENS["Subnet"],
                vpcId=self.vpc,
                cidrBlock=f"10.60.{number}.0/24",
                availabilityZone=f"eu-central-1{zone}",
                mapPublicIpOnLaunch=True,
            )
            engine.create(TOKENS["RouteTableAssociation"], routeTableId=table, subnetId=subnet)
            self.subnets.append(subnet)
        self.group, _ = engine.create(TOKENS["SecurityGroup"], "servers", vpcId=self.vpc)


def find_image(engine: EngineClient) -> str:
    """The id of Debian's image."""
    filters = [{"name": "name", "values": ["debian-13-amd64-20251117-2299"]}]
    return engine.invoke("aws:ec2/getAmi:getAmi", owners=[DEBIAN_ACCOUNT], filters=filters)["id"]


def create_instance(engine: EngineClient, vpc: PublicVpc, **inputs: Any) -> tuple[str, dict[str, Any]]:
    """An instance in the first subnet, with these inputs besides or instead; its id and its outputs."""
    defaults = {
        "ami": find_image(engine),
        "instanceType": "t3.small",
        "subnetId": vpc.subnets[0],
        "vpcSecurityGroupIds": [vpc.group],
    }
    return engine.create(TOKENS["Instance"], **{**defaults, **inputs})


def topology(cloud: SimulatedAws) -> Topology:
    """The topology that was last applied."""
    assert isinstance(cloud.infrastructure, RecordedInfrastructure)
    return cloud.infrastructure.topology
