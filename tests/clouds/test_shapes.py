"""Every shape of a stack, as far as no machine is needed: made, and taken away again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clouds import without_ssh
from tests.clouds.aws import Aws
from tests.clouds.digitalocean import DigitalOcean
from tests.clouds.infrastructure import Paper
from tests.clouds.provider import Cloud
from tests.clouds.simulated_stack import new_stack, simulated
from tools.setup.targets import words_of

pytestmark = pytest.mark.engine

ZONE = "rocket.test"
SITE = {"zone": ZONE, "domain": ZONE}
SHAPES: list[tuple[str, dict[str, object]]] = [
    ("aws", {"servers": 2, **SITE, "accessLogs": True}),
    ("digitalocean", {"servers": 2, **SITE, "backups": True}),
]


def with_zone(cloud: Cloud) -> set[str]:
    """A zone that was there before the stack; gives what the account holds by itself."""
    if isinstance(cloud, Aws):
        cloud.client("route53").create_hosted_zone(Name=ZONE, CallerReference="1")
    elif isinstance(cloud, DigitalOcean):
        cloud.types()["digitalocean:index/domain:Domain"].create({"name": ZONE})
    return set(cloud.leftovers())


@pytest.mark.parametrize(("target", "settings"), SHAPES)
def test_a_stack_with_a_name_and_https_comes_stays_and_goes(target: str, settings: dict[str, object], tmp_path: Path):
    world = Paper()
    with simulated(target, world, tmp_path) as cloud:
        own = with_zone(cloud)
        stack = new_stack(target, tmp_path / "stack", **settings)
        without_ssh.up(stack)
        [balancer] = world.view.balancers
        listeners = {(each.port, each.protocol, each.redirect_port) for each in balancer.listeners}
        assert listeners == {(80, "http", 443), (443, "https", None)}
        done = changes(cloud)
        without_ssh.up(stack)
        assert changes(cloud) == done
        stack.destroy()
        assert set(cloud.leftovers()) == own


def changes(cloud: Cloud) -> list[tuple[str, str]]:
    return [call for call in cloud.calls if call[0] != "read"]


def test_access_logs_are_off_and_their_bucket_is_gone_when_they_are_turned_off(tmp_path: Path):
    with simulated("aws", Paper(), tmp_path) as cloud:
        stack = new_stack("aws", tmp_path / "stack", balancer=True, accessLogs=True)
        without_ssh.up(stack)
        assert logs(cloud) == "true"
        stack.configure(accessLogs=False)
        without_ssh.up(stack)
        assert logs(cloud) == "false"
        assert not [each for each in cloud.leftovers() if each.startswith("Bucket")]
        without_ssh.unchanged(stack)
        stack.destroy()


def logs(cloud: Cloud) -> str:
    """Whether the only balancer writes any."""
    assert isinstance(cloud, Aws)
    elb = cloud.client("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    told = elb.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"]
    return {each["Key"]: each["Value"] for each in told}["access_logs.s3.enabled"]


@pytest.mark.parametrize("target", ["aws", "digitalocean"])
def test_of_a_protected_stack_nothing_is_destroyed_until_that_is_taken_back(target: str, tmp_path: Path):
    with simulated(target, Paper(), tmp_path) as cloud:
        stack = new_stack(target, tmp_path / "stack", balancer=True, protect=True)
        without_ssh.up(stack)
        done = changes(cloud)
        refused = stack.pulumi(*words_of("destroy", stack.name, target)[:-2], check=False)
        assert refused.returncode != 0
        assert "protected" in refused.stdout + refused.stderr
        assert changes(cloud) == done
        stack.configure(protect=False)
        without_ssh.up(stack)
        stack.destroy()
        assert cloud.leftovers() == []


def test_a_zone_that_is_not_listed_any_more_moves_nothing_that_is_there(tmp_path: Path):
    with simulated("aws", Paper(), tmp_path) as cloud:
        stack = new_stack("aws", tmp_path / "stack", servers=2)
        without_ssh.up(stack)
        done = changes(cloud)
        cloud.faults.closed_zones = {"eu-central-1a"}
        without_ssh.up(stack)
        assert changes(cloud) == done
        stack.destroy()


def test_another_network_makes_all_that_is_in_it_anew(tmp_path: Path):
    world = Paper()
    with simulated("aws", world, tmp_path) as cloud:
        stack = new_stack("aws", tmp_path / "stack", servers=2)
        without_ssh.up(stack)
        stack.configure(network="10.62.0.0/16")
        without_ssh.up(stack)
        assert {each.private.partition(".62.")[0] for each in world.view.instances} == {"10"}
        assert {each.split()[-1] for each in cloud.leftovers()} == without_ssh.ids(stack)
        stack.destroy()
        assert cloud.leftovers() == []


def test_a_given_vpc_has_the_balancer_and_servers_in_its_subnets_and_stays(tmp_path: Path):
    world = Paper()
    with simulated("aws", world, tmp_path) as cloud:
        vpc = given_vpc(cloud)
        own = set(cloud.leftovers())
        stack = new_stack("aws", tmp_path / "stack", servers=2, vpc=vpc, network=None)
        without_ssh.up(stack)
        assert sorted(each.private.rpartition(".")[0] for each in world.view.instances) == ["10.60.0", "100.64.0"]
        [balancer] = world.view.balancers
        assert sorted(node.rpartition(".")[0] for node in balancer.nodes) == ["10.60.0", "100.64.0"]
        stack.destroy()
        assert set(cloud.leftovers()) == own


def given_vpc(cloud: Cloud) -> str:
    """One that was there before the stack, with a second range that the second zone's subnet is of."""
    types = cloud.types()
    vpc = types["aws:ec2/vpc:Vpc"].create({"cidrBlock": "10.60.0.0/16"})
    assert isinstance(cloud, Aws)
    cloud.client("ec2").associate_vpc_cidr_block(VpcId=vpc, CidrBlock="100.64.0.0/16")
    gateway = types["aws:ec2/internetGateway:InternetGateway"].create({"vpcId": vpc})
    table = types["aws:ec2/routeTable:RouteTable"].create({"vpcId": vpc})
    way = {"routeTableId": table, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": gateway}
    types["aws:ec2/route:Route"].create(way)
    for zone, cidr in (("a", "10.60.0.0/24"), ("b", "100.64.0.0/24")):
        place = {"vpcId": vpc, "cidrBlock": cidr, "availabilityZone": f"eu-central-1{zone}"}
        subnet = types["aws:ec2/subnet:Subnet"].create({**place, "mapPublicIpOnLaunch": True})
        types["aws:ec2/routeTableAssociation:RouteTableAssociation"].create({"routeTableId": table, "subnetId": subnet})
    return vpc
