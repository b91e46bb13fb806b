from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest

from components.aws import subnets
from components.errors import UserError
from components.local import bridge
from tests.mocks import AWS, Recorder, build_stack, is_secret


@pytest.fixture
def single(tmp_path: Path) -> Recorder:
    """One server with an Elastic IP."""
    return build_stack(tmp_path, **AWS)


@pytest.mark.parametrize(
    ("cidr", "ranges"),
    [
        ("10.77.0.0/16", ["10.77.0.0/18", "10.77.64.0/18"]),
        ("10.77.0.0/26", ["10.77.0.0/28", "10.77.0.16/28"]),
        ("10.77.0.0/27", ["10.77.0.0/28", "10.77.0.16/28"]),
    ],
)
def test_each_of_two_subnets_gets_a_quarter_of_the_network_and_at_least_16_addresses(cidr: str, ranges: list[str]):
    assert subnets.ranges(cidr) == ranges


def test_the_order_of_the_zones_doesnt_change_which_are_used():
    assert (
        subnets.zones(["eu-1c", "eu-1a", "eu-1b"]) == subnets.zones(["eu-1b", "eu-1a", "eu-1c"]) == ["eu-1a", "eu-1b"]
    )


def test_an_existing_vpc_gives_one_subnet_per_zone_and_must_have_two_zones():
    subnets_by_zone = [("b", "subnet-3"), ("a", "subnet-2"), ("a", "subnet-1")]
    assert subnets.one_per_zone("vpc-1", subnets_by_zone) == ["subnet-1", "subnet-3"]
    with pytest.raises(UserError, match=r"vpc is 'vpc-1'.*in 2 zones.*pulumi config rm vpc"):
        subnets.one_per_zone("vpc-1", subnets_by_zone[1:])


def test_in_an_existing_vpc_no_network_is_created(tmp_path: Path):
    stack = build_stack(tmp_path, **AWS, vpc="vpc-7", servers=2, balancer=True)
    for type_end in (":Vpc", ":Subnet", ":InternetGateway", ":Route", ":RouteTable"):
        assert not stack.of_type(type_end)
    assert stack.one(":LoadBalancer").inputs["subnets"] == ["subnet-a1", "subnet-b1"]
    assert {group.inputs["vpcId"] for group in stack.of_type("ec2/securityGroup:SecurityGroup")} == {"vpc-7"}
    for number in (0, 1):
        configuration = stack.one(":Command", f"prod-{number}-configure").inputs["stdin"]
        for subnet in ("172.31.0.0/20", "100.64.0.0/24"):
            assert f"set_real_ip_from {subnet};" in configuration
            assert f"ip saddr {subnet} tcp dport 80 ct state new accept" in configuration


def test_the_default_range_overlaps_no_range_of_local_stacks(single: Recorder):
    network = ipaddress.ip_network(single.one(":Vpc").inputs["cidrBlock"])
    assert not [candidate for candidate in bridge.CANDIDATES if network.overlaps(candidate)]


def test_one_provider_tags_all_resources_of_the_stack(single: Recorder):
    provider = single.one("pulumi:providers:aws")
    assert provider.inputs["region"] == "eu-central-1"
    tags = json.loads(provider.inputs["defaultTags"])["tags"]
    assert tags == {"Project": "gantry", "Stack": "prod", "ManagedBy": "gantry"}
    for resource in single.registrations:
        if resource.type.startswith("aws:"):
            assert "prod::" in resource.request.provider, resource.name


def test_only_the_networks_in_the_settings_can_reach_ssh(single: Recorder):
    inputs = [rule.inputs for rule in single.of_type(":SecurityGroupIngressRule")]
    rules = [rule for rule in inputs if rule["fromPort"] <= 22]
    assert sorted(rule.get("cidrIpv4") or rule["cidrIpv6"] for rule in rules) == ["2001:db8::/48", "203.0.113.7/32"]
    assert {(rule["fromPort"], rule["toPort"], rule["ipProtocol"]) for rule in rules} == {(22, 22, "tcp")}


def web_sources(stack: Recorder) -> dict[str, list[tuple[int, str]]]:
    """Ports, and the networks or groups that may reach them, by the group's description; without SSH."""
    groups = {group.id: group.inputs["description"].split()[0] for group in stack.of_type(":SecurityGroup")}
    sources: dict[str, list[tuple[int, str]]] = {}
    for rule in stack.of_type(":SecurityGroupIngressRule"):
        inputs = rule.inputs
        if inputs["fromPort"] != 22:
            source = inputs.get("cidrIpv4") or groups[inputs["referencedSecurityGroupId"]]
            sources.setdefault(groups[inputs["securityGroupId"]], []).append((int(inputs["fromPort"]), source))
    # The engine registers resources in no fixed order.
    return {group: sorted(rules) for group, rules in sources.items()}


def test_visitors_reach_a_single_server_but_no_server_behind_a_balancer(single: Recorder, tmp_path: Path):
    assert web_sources(single) == {"Servers": [(80, "0.0.0.0/0"), (443, "0.0.0.0/0")]}
    fleet = build_stack(tmp_path, **AWS, servers=2, balancer=True)
    assert web_sources(fleet) == {"Balancer": [(80, "0.0.0.0/0")], "Servers": [(80, "Balancer")]}


def test_session_manager_can_reach_a_server_and_its_role_reads_no_parameter(single: Recorder):
    policy = json.loads(single.one(":RolePolicy").inputs["policy"])
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert {action.partition(":")[0] for action in actions} == {"ssm", "ssmmessages"}
    assert {action for action in actions if action.startswith("ssm:")} == {"ssm:UpdateInstanceInformation"}
    assert not single.of_type(":RolePolicyAttachment")
    role = json.loads(single.one(":Role").inputs["assumeRolePolicy"])
    assert role["Statement"][0]["Principal"] == {"Service": "ec2.amazonaws.com"}
    assert single.one(":Instance").inputs["iamInstanceProfile"].startswith("prod")


def test_no_resource_of_the_cloud_gets_the_private_key(single: Recorder):
    for resource in single.registrations:
        if resource.type.startswith("aws:"):
            assert "private_key" not in resource.inputs
    assert is_secret(single.one(":Instance").inputs["userData"])
