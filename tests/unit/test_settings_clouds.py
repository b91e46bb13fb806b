from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from components.settings.reader import all_declarations
from tests.stack_settings import mistakes, read

AWS: dict[str, Any] = {"target": "aws", "region": "eu-central-1", "sshFrom": ["203.0.113.7/32"]}
DIGITALOCEAN: dict[str, Any] = {"target": "digitalocean", "region": "fra1", "sshFrom": ["203.0.113.7/32"]}


def said(root: Path, **given: object) -> list[str]:
    """The mistakes, one a line."""
    return mistakes(root, None, **given).splitlines()[1:]


def test_a_cloud_needs_a_region_and_where_ssh_may_come_from(root: Path):
    for target in ("aws", "digitalocean"):
        lines = said(root, target=target)
        assert [line.split()[1] for line in lines] == ["region", "sshFrom"]
        assert all("pulumi config set" in line for line in lines)


def test_settings_of_a_cloud_are_read(root: Path):
    found = read(root, **AWS, size="c8g.large", protect=True, zone="example.org", domain="shop.example.org")
    own = found.of_target
    assert (own.region, own.size, own.protect, own.zone) == ("eu-central-1", "c8g.large", True, "example.org")
    assert own.ssh_from == ("203.0.113.7/32",)
    assert read(root, **DIGITALOCEAN, backups=True, sshKey="12345").of_target.backups


def test_a_network_that_is_named_twice_counts_once(root: Path):
    assert read(root, **{**AWS, "sshFrom": ["203.0.113.7", "203.0.113.7/32"]}).of_target.ssh_from == ("203.0.113.7/32",)


def test_an_address_alone_is_a_network_of_one(root: Path):
    assert read(root, **{**AWS, "sshFrom": ["203.0.113.7", "2001:db8::/48"]}).of_target.ssh_from == (
        "203.0.113.7/32",
        "2001:db8::/48",
    )


@pytest.mark.parametrize("world", ["0.0.0.0/0", "::/0", "0.0.0.0/1", "2000::/3"])
def test_ssh_is_never_open_to_the_world(root: Path, world: str):
    lines = said(root, **{**AWS, "sshFrom": ["203.0.113.7/32", world]})
    assert len(lines) == 1
    assert f"sshFrom[1] is '{world}'" in lines[0] and "never open to the world" in lines[0]
    assert "pulumi config set --path 'sshFrom[1]'" in lines[0]


@pytest.mark.parametrize(
    ("usual", "key", "value", "rule"),
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
def test_what_the_cloud_would_refuse_is_said_before(
    root: Path, usual: dict[str, Any], key: str, value: object, rule: str
):
    text = "\n".join(said(root, **{**usual, key: value}))
    assert rule in text
    assert re.search("pulumi config (set|rm)", text)


def test_the_domain_must_be_in_the_zone_and_not_only_end_like_it(root: Path):
    assert read(root, **AWS, zone="example.org", domain="example.org").of_target.zone == "example.org"
    assert "in another zone" in said(root, **AWS, zone="example.org", domain="badexample.org")[0]


def test_a_given_vpc_has_its_range_already(root: Path):
    assert "remove one of them" in said(root, **AWS, vpc="vpc-0a1b", network="10.1.0.0/16")[0]


def test_the_local_target_knows_none_of_them(root: Path):
    given = {
        "region": "fra1", "size": "a.b", "sshFrom": ["10.0.0.0/8"], "protect": True, "zone": "example.org",
        "vpc": "vpc-1", "accessLogs": True, "backups": True, "sshKey": "1",
    }  # fmt: skip
    lines = said(root, **given)
    assert {line.split()[1] for line in lines} == _keys_of_clouds() == set(given)
    assert all("not of local; remove it with: pulumi config rm" in line for line in lines)


def test_a_name_at_the_cloud_is_no_secret_and_is_not_shown_where_it_was_made_one(root: Path):
    text = mistakes(root, ["vpc"], **AWS, vpc="hunter2")
    assert "vpc is secret" in text
    assert "hunter2" not in text


def _keys_of_clouds() -> set[str]:
    """The settings that the local target doesn't know."""
    return {key for key, by_owner in all_declarations().items() if not {"", "local"} & set(by_owner)}
