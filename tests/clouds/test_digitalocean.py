"""The simulated DigitalOcean: what its provider and its API accept, return and refuse. No machine boots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clouds.digitalocean import SimulatedDigitalOcean
from tests.clouds.engine_client import EngineClient, ProviderError, connect_engine
from tests.clouds.infrastructure import ANYWHERE, RecordedInfrastructure, Rule, Topology
from tests.clouds.simulated_cloud import token_of
from tools.offline.command_plugin.values import UNKNOWN, is_unknown

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+GhkGYcGwF6Xj1TqQ0VYqS0u1vE5nH2mJ1p0yq3fJk it"
VPC, SSH_KEY, DROPLET, TAG, FIREWALL, BALANCER, RESERVED_IP, ASSIGNMENT, PROJECT, PROJECT_RESOURCES = (
    token_of("digitalocean", "index", name)
    for name in (
        "Vpc", "SshKey", "Droplet", "Tag", "Firewall", "LoadBalancer", "ReservedIp", "ReservedIpAssignment",
        "Project", "ProjectResources",
    )
)  # fmt: skip
FORWARDING_RULES = [{"entryPort": 80, "entryProtocol": "http", "targetPort": 80, "targetProtocol": "http"}]


def droplet(vpc: str, **inputs: Any) -> dict[str, Any]:
    """The inputs of a droplet; None removes one."""
    defaults = {"image": "debian-13-x64", "size": "s-1vcpu-1gb", "region": "fra1", "vpcUuid": vpc}
    return {key: value for key, value in {**defaults, **inputs}.items() if value is not None}


def topology(cloud: SimulatedDigitalOcean) -> Topology:
    """The topology that was last applied."""
    assert isinstance(cloud.infrastructure, RecordedInfrastructure)
    return cloud.infrastructure.topology


def test_without_a_token_the_provider_says_how_to_set_it(digitalocean_engine: EngineClient):
    with pytest.raises(ProviderError, match="pulumi config set digitalocean:token"):
        digitalocean_engine.configure()


def test_a_resource_without_a_name_gets_one_with_seven_hex_digits_and_keeps_it(digitalocean_engine: EngineClient):
    inputs = digitalocean_engine.check(DROPLET, "web-0", droplet("v"))
    assert str(inputs["name"]).startswith("web-0-")
    assert len(str(inputs["name"])) == len("web-0-") + 7
    assert digitalocean_engine.check(DROPLET, "web-0", droplet("v"), olds=inputs)["name"] == inputs["name"]
    assert digitalocean_engine.check(DROPLET, "web-0", droplet("v"))["name"] != inputs["name"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": None}, "missing required property 'image'"),
        ({"colour": "red"}, "unrecognized property 'colour'"),
        ({"size": 4}, "expected a string"),
    ],
)
def test_the_preview_already_refuses_inputs_that_the_provider_does_not_accept(
    digitalocean_engine: EngineClient, inputs: dict[str, Any], message: str
):
    with pytest.raises(ProviderError, match=message):
        digitalocean_engine.check(DROPLET, "web-0", droplet("v", **inputs))


def test_an_unknown_resource_type_is_refused(digitalocean_engine: EngineClient):
    with pytest.raises(ProviderError, match="unknown resource type digitalocean:index/pony:Pony"):
        digitalocean_engine.check("digitalocean:index/pony:Pony", "it", {})


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"name": "x" * 256}, "is not a valid name"),
        ({"vpcUuid": "nowhere"}, "vpc nowhere could not be found"),
        ({"sshKeys": ["12:34"]}, "12:34 are invalid key identifiers"),
        ({"image": "debian-99-x64"}, "invalid image"),
        ({"size": "s-huge"}, "invalid size"),
        ({"region": "mars1"}, "region 'mars1'"),
        ({"userData": "x" * 70_000}, "user_data is too long"),
    ],
)
def test_a_droplet_that_the_cloud_would_refuse_is_refused(
    digitalocean_engine: EngineClient, vpc: str, inputs: dict[str, Any], message: str
):
    with pytest.raises(ProviderError, match=message):
        digitalocean_engine.create(DROPLET, **{**droplet(vpc), **inputs})


def test_a_key_and_an_address_range_that_are_in_use_are_refused(digitalocean_engine: EngineClient):
    digitalocean_engine.create(SSH_KEY, publicKey=PUBLIC_KEY)
    with pytest.raises(ProviderError, match="already in use"):
        digitalocean_engine.create(SSH_KEY, "other", publicKey=PUBLIC_KEY)
    digitalocean_engine.create(VPC, region="fra1", ipRange="10.110.0.0/20")
    with pytest.raises(ProviderError, match="overlaps"):
        digitalocean_engine.create(VPC, "other", region="fra1", ipRange="10.110.8.0/24")


def test_a_preview_creates_nothing_and_does_not_know_the_values_that_the_cloud_chooses(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient
):
    outputs = digitalocean_engine.preview(DROPLET, **droplet(UNKNOWN))
    assert is_unknown(outputs["ipv4Address"])
    assert digitalocean.leftovers() == []


@pytest.mark.parametrize(
    ("changes", "replaces"),
    [
        ({"userData": "b"}, ["userData"]),
        ({"image": "debian-12-x64"}, ["image"]),
        ({"size": "s-2vcpu-2gb"}, []),
        ({"tags": ["x"]}, []),
    ],
)
def test_a_change_replaces_a_droplet_where_the_real_provider_does(
    digitalocean_engine: EngineClient, changes: dict[str, Any], replaces: list[str]
):
    olds = digitalocean_engine.check(DROPLET, "it", droplet("v", userData="a"))
    diff = digitalocean_engine.diff(DROPLET, olds, {**olds, **changes})
    assert (list(diff.diffs), list(diff.replaces)) == (list(changes), replaces)
    assert not diff.deleteBeforeReplace


def test_a_droplet_whose_name_the_program_sets_is_deleted_before_its_replacement_is_created(
    digitalocean_engine: EngineClient,
):
    olds = digitalocean_engine.check(DROPLET, "it", droplet("v", name="mine"))
    assert digitalocean_engine.diff(DROPLET, olds, {**olds, "image": "debian-12-x64"}).deleteBeforeReplace


def test_the_rules_of_all_firewalls_with_a_tag_apply_and_a_balancer_is_admitted_by_its_node_address(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient, vpc: str
):
    engine = digitalocean_engine
    tag, _ = engine.create(TAG)
    ssh_rule = {"protocol": "tcp", "portRange": "22", "sourceAddresses": ["198.51.100.7/32", "::1/128"]}
    engine.create(FIREWALL, "ssh", tags=[tag], inboundRules=[ssh_rule])
    id, _ = engine.create(BALANCER, region="fra1", vpcUuid=vpc, dropletTag=tag, forwardingRules=FORWARDING_RULES)
    web_rule = {"protocol": "tcp", "portRange": "80", "sourceLoadBalancerUids": [id]}
    engine.create(FIREWALL, "web", tags=[tag], inboundRules=[web_rule])
    engine.create(DROPLET, **droplet(vpc, tags=[tag]))
    [server], [balancer] = topology(digitalocean).servers, topology(digitalocean).balancers
    assert server.inbound == (
        Rule(low_port=22, high_port=22, peers=("198.51.100.7/32",)),
        Rule(low_port=80, high_port=80, peers=balancer.node_addresses),
    )
    assert server.outbound == ()  # a firewall without outbound rules drops everything that leaves
    assert [target.address for target in balancer.targets] == [server.private_address]


def test_a_droplet_without_a_firewall_is_open(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient, vpc: str
):
    digitalocean_engine.create(DROPLET, **droplet(vpc))
    assert topology(digitalocean).servers[0].inbound is None
    assert Rule().peers == (ANYWHERE,)


def test_a_reserved_ip_moves_and_deleting_the_old_assignment_does_not_remove_the_new_one(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient, vpc: str
):
    old, new = (digitalocean_engine.create(DROPLET, name, **droplet(vpc))[0] for name in ("old", "new"))
    address = digitalocean_engine.create(RESERVED_IP, region="fra1")[1]["ipAddress"]
    old_assignment, _ = digitalocean_engine.create(ASSIGNMENT, dropletId=int(old), ipAddress=address)
    digitalocean_engine.create(ASSIGNMENT, dropletId=int(new), ipAddress=address)
    digitalocean_engine.delete(ASSIGNMENT, old_assignment)
    has_address = {server.id: address in server.public_addresses for server in topology(digitalocean).servers}
    assert has_address == {old: False, new: True}


def test_a_changed_resource_is_read_with_its_changes_and_a_deleted_one_is_not_found(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient, vpc: str
):
    id, _ = digitalocean_engine.create(DROPLET, **droplet(vpc, tags=["a"]))
    digitalocean.documents("droplet")[id]["tags"] = ["a", "manual"]
    outputs = digitalocean_engine.read(DROPLET, id, {"tags": ["a"]})
    assert outputs
    assert outputs["tags"] == ["a", "manual"]
    digitalocean_engine.delete(DROPLET, id)
    assert digitalocean_engine.read(DROPLET, id) is None


def test_the_account_outlives_the_process(tmp_path: Path):
    file = tmp_path / "account.json"
    with connect_engine(SimulatedDigitalOcean(file=file)) as engine:
        engine.create(VPC, region="fra1")
    assert [line.split()[0] for line in SimulatedDigitalOcean(file=file).leftovers()] == ["vpc"]


def test_the_provider_retries_a_throttled_call_and_gives_up_after_five_attempts(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient
):
    digitalocean.faults.throttled_calls = 2
    digitalocean_engine.create(VPC, region="fra1")
    assert digitalocean.faults.retry_count == 2
    digitalocean.faults.failing_calls = 5
    with pytest.raises(ProviderError, match="500"):
        digitalocean_engine.create(VPC, "other", region="fra1", ipRange="10.99.0.0/20")


def test_a_lost_reply_leaves_a_resource_and_missing_capacity_leaves_none(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient
):
    digitalocean.faults.lost_replies = ["Vpc"]
    with pytest.raises(ProviderError, match="connection reset"):
        digitalocean_engine.create(VPC, region="fra1", ipRange="10.99.0.0/20")
    assert len(digitalocean.leftovers()) == 1
    vpc = next(iter(digitalocean.documents("vpc")))
    digitalocean.faults.types_without_capacity = {"Droplet"}
    with pytest.raises(ProviderError, match="no capacity"):
        digitalocean_engine.create(DROPLET, **droplet(vpc))
    assert len(digitalocean.leftovers()) == 1
