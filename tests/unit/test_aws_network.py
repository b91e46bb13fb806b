from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest

from components.aws import subnets
from components.errors import UserError
from components.local import bridge
from tests.mocks import AWS, Cloud, built, secret


@pytest.fixture
def single(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """One server with an address."""
    return built(tmp_path, monkeypatch, **AWS)


@pytest.mark.parametrize(
    ("cidr", "expected"),
    [
        ("10.77.0.0/16", ["10.77.0.0/18", "10.77.64.0/18"]),
        ("10.77.0.0/26", ["10.77.0.0/28", "10.77.0.16/28"]),
        ("10.77.0.0/27", ["10.77.0.0/28", "10.77.0.16/28"]),
    ],
)
def test_two_subnets_of_a_quarter_each_but_never_too_small(cidr: str, expected: list[str]):
    assert subnets.ranges(cidr) == expected


def test_the_same_zones_are_taken_in_whatever_order_they_come():
    assert (
        subnets.zones(["eu-1c", "eu-1a", "eu-1b"]) == subnets.zones(["eu-1b", "eu-1a", "eu-1c"]) == ["eu-1a", "eu-1b"]
    )


def test_of_a_given_vpc_one_subnet_a_zone_is_taken_and_one_zone_is_not_enough():
    placed = [("b", "subnet-3"), ("a", "subnet-2"), ("a", "subnet-1")]
    assert subnets.one_per_zone("vpc-1", placed) == ["subnet-1", "subnet-3"]
    with pytest.raises(UserError, match=r"vpc is 'vpc-1'.*in 2 zones.*pulumi config rm vpc"):
        subnets.one_per_zone("vpc-1", placed[1:])


def test_a_given_vpc_gets_no_network_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, **AWS, vpc="vpc-7", servers=2, balancer=True)
    for made in (":Vpc", ":Subnet", ":InternetGateway", ":Route", ":RouteTable"):
        assert not cloud.of(made)
    assert cloud.one(":LoadBalancer").inputs["subnets"] == ["subnet-a1", "subnet-b1"]
    assert {each.inputs["vpcId"] for each in cloud.of("ec2/securityGroup:SecurityGroup")} == {"vpc-7"}
    for number in (0, 1):
        configuration = cloud.one(":Command", f"prod-{number}-configure").inputs["stdin"]
        for subnet in ("172.31.0.0/20", "100.64.0.0/24"):
            assert f"set_real_ip_from {subnet};" in configuration
            assert f"ip saddr {subnet} tcp dport 80 ct state new accept" in configuration


def test_the_usual_range_is_apart_from_that_of_stacks_on_this_computer(single: Cloud):
    network = ipaddress.ip_network(single.one(":Vpc").inputs["cidrBlock"])
    assert not [each for each in bridge.CANDIDATES if network.overlaps(each)]


def test_everything_of_the_stack_is_tagged_through_one_provider(single: Cloud):
    provider = single.one("pulumi:providers:aws")
    assert provider.inputs["region"] == "eu-central-1"
    tags = json.loads(provider.inputs["defaultTags"])["tags"]
    assert tags == {"Project": "gantry", "Stack": "prod", "ManagedBy": "gantry"}
    for made in single.made:
        if made.type.startswith("aws:"):
            assert "prod::" in made.request.provider, made.name


def test_ssh_is_admitted_from_the_named_networks_alone(single: Cloud):
    rules = [each.inputs for each in single.of(":SecurityGroupIngressRule") if each.inputs["fromPort"] <= 22]
    assert sorted(rule.get("cidrIpv4") or rule["cidrIpv6"] for rule in rules) == ["2001:db8::/48", "203.0.113.7/32"]
    assert {(rule["fromPort"], rule["toPort"], rule["ipProtocol"]) for rule in rules} == {(22, 22, "tcp")}


def test_visitors_reach_a_single_server_and_never_one_behind_a_balancer(
    single: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def web(cloud: Cloud) -> dict[str, list[tuple[int, str]]]:
        found: dict[str, list[tuple[int, str]]] = {}
        groups = {f"{each.inputs['description'].split()[0]}": each for each in cloud.of(":SecurityGroup")}
        ids = {str(1001 + cloud.made.index(each)): name for name, each in groups.items()}
        for rule in cloud.of(":SecurityGroupIngressRule"):
            inputs = rule.inputs
            if inputs["fromPort"] != 22:
                source = inputs.get("cidrIpv4") or ids[inputs["referencedSecurityGroupId"]]
                found.setdefault(ids[inputs["securityGroupId"]], []).append((int(inputs["fromPort"]), source))
        return found

    assert web(single) == {"Servers": [(80, "0.0.0.0/0"), (443, "0.0.0.0/0")]}
    fleet = built(tmp_path, monkeypatch, **AWS, servers=2, balancer=True)
    assert web(fleet) == {"Balancer": [(80, "0.0.0.0/0")], "Servers": [(80, "Balancer")]}


def test_a_server_can_be_reached_through_session_manager(single: Cloud):
    assert single.one(":RolePolicyAttachment").inputs["policyArn"].endswith("/AmazonSSMManagedInstanceCore")
    role = json.loads(single.one(":Role").inputs["assumeRolePolicy"])
    assert role["Statement"][0]["Principal"] == {"Service": "ec2.amazonaws.com"}
    assert single.one(":Instance").inputs["iamInstanceProfile"].startswith("prod")


def test_the_private_key_is_nowhere_but_in_connections(single: Cloud):
    for made in single.made:
        if made.type.startswith("aws:"):
            assert "private_key" not in made.inputs
    assert secret(single.one(":Instance").inputs["userData"])
