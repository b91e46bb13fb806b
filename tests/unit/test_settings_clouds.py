from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from components.aws.settings import AwsSettings
from components.digitalocean.settings import DigitalOceanSettings
from components.settings.reader import all_declarations
from tests.stack_settings import mistakes, read_for_target

AWS: dict[str, Any] = {"target": "aws", "region": "eu-central-1", "sshFrom": ["203.0.113.7/32"]}
DIGITALOCEAN: dict[str, Any] = {"target": "digitalocean", "region": "fra1", "sshFrom": ["203.0.113.7/32"]}


def mistake_lines(root: Path, **values: Any) -> list[str]:
    return mistakes(root, **values).splitlines()[1:]


def test_a_cloud_needs_a_region_and_the_networks_that_may_reach_ssh(root: Path):
    for target in ("aws", "digitalocean"):
        lines = mistake_lines(root, target=target)
        assert [line.split()[1] for line in lines] == ["region", "sshFrom"]
        assert all("pulumi config set" in line for line in lines)


def test_settings_of_a_cloud_are_read(root: Path):
    values = {**AWS, "size": "c8g.large", "protect": True, "zone": "example.org", "domain": "shop.example.org"}
    aws = read_for_target(root, AwsSettings, **values)
    assert (aws.region, aws.size, aws.protect, aws.zone) == ("eu-central-1", "c8g.large", True, "example.org")
    assert aws.ssh_from == ("203.0.113.7/32",)
    assert read_for_target(root, DigitalOceanSettings, **DIGITALOCEAN, backups=True, sshKey="12345").backups


def test_a_network_that_is_listed_twice_counts_once(root: Path):
    values = {**AWS, "sshFrom": ["203.0.113.7", "203.0.113.7/32"]}
    assert read_for_target(root, AwsSettings, **values).ssh_from == ("203.0.113.7/32",)


def test_an_address_without_a_prefix_is_a_network_of_one_address(root: Path):
    values = {**AWS, "sshFrom": ["203.0.113.7", "2001:db8::/48"]}
    assert read_for_target(root, AwsSettings, **values).ssh_from == ("203.0.113.7/32", "2001:db8::/48")


@pytest.mark.parametrize("world", ["0.0.0.0/0", "::/0", "0.0.0.0/1", "2000::/3"])
def test_ssh_is_never_open_to_the_world(root: Path, world: str):
    lines = mistake_lines(root, **{**AWS, "sshFrom": ["203.0.113.7/32", world]})
    assert len(lines) == 1
    assert f"sshFrom[1] is '{world}'" in lines[0] and "never open to the world" in lines[0]
    assert "pulumi config set --path 'sshFrom[1]'" in lines[0]


@pytest.mark.parametrize(
    ("cloud", "key", "value", "rule"),
    [
        (AWS, "region", "fra1", "a region such as eu-central-1"),
        (AWS, "region", "us-gov-west-1", "region is 'us-gov-west-1', but must be of the partition aws"),
        (AWS, "region", "cn-north-1", "region is 'cn-north-1', but must be of the partition aws"),
        (AWS, "region", "us-iso-east-1", "region is 'us-iso-east-1', but must be of the partition aws"),
        (DIGITALOCEAN, "region", "eu-central-1", "a region such as fra1"),
        (AWS, "size", "s-1vcpu-1gb", "an instance type"),
        (DIGITALOCEAN, "size", "t4g.small", "a droplet's size"),
        (AWS, "vpc", "subnet-1", "the id of a VPC"),
        (DIGITALOCEAN, "vpc", "vpc-0a1b", "the UUID of a VPC"),
        (DIGITALOCEAN, "sshKey", "ssh-ed25519 AAAA", "fingerprint"),
        (AWS, "network", "10.0.0.0/8", "from /16 to /27 on target aws"),
        (AWS, "network", "10.0.0.0/28", "from /16 to /27 on target aws"),
        (AWS, "sshFrom", ["office"], "must be a network such as"),
        (AWS, "sshFrom", "203.0.113.7", "sshFrom must be a list"),
        (AWS, "accessLogs", True, "pulumi config set balancer true"),
        (AWS, "backups", True, "setting of target digitalocean, not of aws"),
        (DIGITALOCEAN, "accessLogs", True, "setting of target aws, not of digitalocean"),
        (AWS, "zone", "example.org", "domain is empty"),
    ],
)
def test_the_error_for_a_value_that_the_cloud_would_refuse_has_rule_and_remedy(
    root: Path, cloud: dict[str, Any], key: str, value: object, rule: str
):
    text = mistakes(root, **{**cloud, key: value})
    assert rule in text
    assert re.search("pulumi config (set|rm)", text)


def test_the_domain_must_be_in_the_zone_and_not_only_end_with_its_letters(root: Path):
    aws = read_for_target(root, AwsSettings, **AWS, zone="example.org", domain="example.org")
    assert aws.zone == "example.org"
    assert "in another zone" in mistake_lines(root, **AWS, zone="example.org", domain="badexample.org")[0]


def test_an_existing_vpc_excludes_a_network_range(root: Path):
    assert "remove one of them" in mistake_lines(root, **AWS, vpc="vpc-0a1b", network="10.1.0.0/16")[0]


def test_the_local_target_refuses_every_setting_of_the_clouds(root: Path):
    values: dict[str, object] = {
        "region": "fra1",
        "size": "a.b",
        "sshFrom": ["10.0.0.0/8"],
        "protect": True,
        "zone": "example.org",
        "vpc": "vpc-1",
        "storageSnapshots": 30,
        "accessLogs": True,
        "backups": True,
        "sshKey": "1",
    }
    lines = mistake_lines(root, **values)
    assert {line.split()[1] for line in lines} == _keys_of_clouds() == set(values)
    assert all("not of local; remove it with: pulumi config rm" in line for line in lines)


def test_the_id_of_a_vpc_cannot_be_secret_and_the_error_doesnt_show_it(root: Path):
    text = mistakes(root, secret=["vpc"], **AWS, vpc="hunter2")
    assert "vpc is secret" in text
    assert "hunter2" not in text


def _keys_of_clouds() -> set[str]:
    """The settings that the local target doesn't know."""
    return {key for key, by_owner in all_declarations().items() if not {"", "local"} & set(by_owner)}
