"""Stacks of different shapes, brought up and destroyed without their commands on servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clouds import without_ssh
from tests.clouds.aws import SimulatedAws
from tests.clouds.digitalocean import SimulatedDigitalOcean
from tests.clouds.infrastructure import RecordedInfrastructure
from tests.clouds.simulated_cloud import SimulatedCloud
from tests.clouds.simulated_stack import ids_in_state, new_stack, simulated_cloud
from tools.setup.targets import words_of

pytestmark = pytest.mark.engine

ZONE = "rocket.test"
DOMAIN_SETTINGS = {"zone": ZONE, "domain": ZONE}
SHAPES: list[tuple[str, dict[str, object]]] = [
    ("aws", {"servers": 2, **DOMAIN_SETTINGS, "accessLogs": True}),
    ("digitalocean", {"servers": 2, **DOMAIN_SETTINGS, "backups": True}),
]


def create_zone(cloud: SimulatedCloud) -> set[str]:
    """Create a DNS zone that exists before the stack. Returns all that the account then has."""
    if isinstance(cloud, SimulatedAws):
        cloud.client("route53").create_hosted_zone(Name=ZONE, CallerReference="1")
    elif isinstance(cloud, SimulatedDigitalOcean):
        cloud.types()["digitalocean:index/domain:Domain"].create({"name": ZONE})
    return set(cloud.leftovers())


@pytest.mark.parametrize(("target", "settings"), SHAPES)
def test_a_stack_with_a_domain_and_https_comes_up_stays_unchanged_and_is_destroyed(
    target: str, settings: dict[str, object], tmp_path: Path
):
    infrastructure = RecordedInfrastructure()
    with simulated_cloud(target, tmp_path, infrastructure) as cloud:
        resources_before = create_zone(cloud)
        stack = new_stack(target, tmp_path / "stack", **settings)
        without_ssh.up(stack)
        [balancer] = infrastructure.topology.balancers
        listeners = {(listener.port, listener.protocol, listener.redirect_port) for listener in balancer.listeners}
        assert listeners == {(80, "http", 443), (443, "https", None)}
        changes = changing_calls(cloud)
        without_ssh.up(stack)
        assert changing_calls(cloud) == changes
        stack.destroy()
        assert set(cloud.leftovers()) == resources_before


def changing_calls(cloud: SimulatedCloud) -> list[tuple[str, str]]:
    """The calls so far that weren't reads."""
    return [(operation, name) for operation, name in cloud.calls if operation != "read"]


def test_access_logs_and_a_health_status_that_are_taken_away_end_and_the_bucket_of_the_logs_is_deleted(tmp_path: Path):
    with simulated_cloud("aws", tmp_path) as cloud:
        stack = new_stack("aws", tmp_path / "stack", balancer=True, accessLogs=True, healthStatus=204)
        without_ssh.up(stack)
        assert (access_logs_enabled(cloud), healthy_statuses(cloud)) == ("true", "204")
        stack.configure(accessLogs=None, healthStatus=None)
        without_ssh.up(stack)
        assert (access_logs_enabled(cloud), healthy_statuses(cloud)) == ("false", "200-399")
        assert not [line for line in cloud.leftovers() if line.startswith("Bucket")]
        without_ssh.expect_no_changes(stack)
        stack.destroy()


def access_logs_enabled(cloud: SimulatedCloud) -> str:
    """Whether the only balancer writes access logs: "true" or "false"."""
    assert isinstance(cloud, SimulatedAws)
    elb = cloud.client("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"]
    return {attribute["Key"]: attribute["Value"] for attribute in attributes}["access_logs.s3.enabled"]


def healthy_statuses(cloud: SimulatedCloud) -> str:
    """The statuses that the only balancer counts as healthy."""
    assert isinstance(cloud, SimulatedAws)
    [group] = cloud.client("elbv2").describe_target_groups()["TargetGroups"]
    return group["Matcher"]["HttpCode"]


@pytest.mark.parametrize("target", ["aws", "digitalocean"])
def test_destroy_deletes_nothing_of_a_protected_stack_until_the_protection_is_off(target: str, tmp_path: Path):
    with simulated_cloud(target, tmp_path) as cloud:
        stack = new_stack(target, tmp_path / "stack", balancer=True, protect=True)
        without_ssh.up(stack)
        changes = changing_calls(cloud)
        result = stack.pulumi(*words_of("destroy", stack.name, target)[:-2], check=False)
        assert result.returncode != 0
        assert "protected" in result.stdout + result.stderr
        assert changing_calls(cloud) == changes
        stack.configure(protect=False)
        without_ssh.up(stack)
        stack.destroy()
        assert cloud.leftovers() == []


def test_a_zone_that_aws_no_longer_lists_moves_no_existing_resource(tmp_path: Path):
    with simulated_cloud("aws", tmp_path) as cloud:
        stack = new_stack("aws", tmp_path / "stack", servers=2)
        without_ssh.up(stack)
        changes = changing_calls(cloud)
        cloud.faults.unlisted_zones = {"eu-central-1a"}
        without_ssh.up(stack)
        assert changing_calls(cloud) == changes
        stack.destroy()


def test_another_network_replaces_everything_in_it(tmp_path: Path):
    infrastructure = RecordedInfrastructure()
    with simulated_cloud("aws", tmp_path, infrastructure) as cloud:
        stack = new_stack("aws", tmp_path / "stack", servers=2)
        without_ssh.up(stack)
        stack.configure(network="10.62.0.0/16")
        without_ssh.up(stack)
        addresses = [server.private_address for server in infrastructure.topology.servers]
        assert {address.partition(".62.")[0] for address in addresses} == {"10"}
        assert {line.split()[-1] for line in cloud.leftovers()} == ids_in_state(stack)
        stack.destroy()
        assert cloud.leftovers() == []


def test_a_stack_puts_its_servers_and_balancer_into_a_vpc_of_the_user_and_keeps_it(tmp_path: Path):
    infrastructure = RecordedInfrastructure()
    with simulated_cloud("aws", tmp_path, infrastructure) as cloud:
        vpc = create_vpc(cloud)
        resources_before = set(cloud.leftovers())
        stack = new_stack("aws", tmp_path / "stack", servers=2, vpc=vpc, network=None)
        without_ssh.up(stack)
        addresses = [server.private_address for server in infrastructure.topology.servers]
        assert sorted(address.rpartition(".")[0] for address in addresses) == ["10.60.0", "100.64.0"]
        [balancer] = infrastructure.topology.balancers
        node_networks = sorted(address.rpartition(".")[0] for address in balancer.node_addresses)
        assert node_networks == ["10.60.0", "100.64.0"]
        stack.destroy()
        assert set(cloud.leftovers()) == resources_before


def create_vpc(cloud: SimulatedCloud) -> str:
    """A VPC that exists before the stack. The subnet of its second zone is in a second address range."""
    types = cloud.types()
    vpc = types["aws:ec2/vpc:Vpc"].create({"cidrBlock": "10.60.0.0/16"})
    assert isinstance(cloud, SimulatedAws)
    cloud.client("ec2").associate_vpc_cidr_block(VpcId=vpc, CidrBlock="100.64.0.0/16")
    gateway = types["aws:ec2/internetGateway:InternetGateway"].create({"vpcId": vpc})
    table = types["aws:ec2/routeTable:RouteTable"].create({"vpcId": vpc})
    route = {"routeTableId": table, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": gateway}
    types["aws:ec2/route:Route"].create(route)
    for zone, cidr in (("a", "10.60.0.0/24"), ("b", "100.64.0.0/24")):
        location = {"vpcId": vpc, "cidrBlock": cidr, "availabilityZone": f"eu-central-1{zone}"}
        subnet = types["aws:ec2/subnet:Subnet"].create({**location, "mapPublicIpOnLaunch": True})
        types["aws:ec2/routeTableAssociation:RouteTableAssociation"].create({"routeTableId": table, "subnetId": subnet})
    return vpc
