"""What the simulated DigitalOcean keeps, answers and refuses. No machine boots here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_plugin.values import UNKNOWN, is_secret, is_unknown, secret
from tests.clouds.digitalocean import DigitalOcean
from tests.clouds.engine_client import Engine, Refused, asked
from tests.clouds.infrastructure import ANYWHERE, Paper, Rule

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+GhkGYcGwF6Xj1TqQ0VYqS0u1vE5nH2mJ1p0yq3fJk it"
VPC, SSH_KEY, DROPLET, TAG, FIREWALL, BALANCER, RESERVED, ASSIGNMENT, PROJECT, MEMBERS = (
    f"digitalocean:index/{each[0].lower()}{each[1:]}:{each}"
    for each in (
        "Vpc", "SshKey", "Droplet", "Tag", "Firewall", "LoadBalancer", "ReservedIp", "ReservedIpAssignment",
        "Project", "ProjectResources",
    )
)  # fmt: skip
FORWARDING = [{"entryPort": 80, "entryProtocol": "http", "targetPort": 80, "targetProtocol": "http"}]


@pytest.fixture
def cloud() -> DigitalOcean:
    return DigitalOcean(Paper())


@pytest.fixture
def engine(cloud: DigitalOcean) -> Iterator[Engine]:
    with asked(cloud) as engine:
        yield engine


def droplet(vpc: str, **changed: Any) -> dict[str, Any]:
    wanted = {"image": "debian-13-x64", "size": "s-1vcpu-1gb", "region": "fra1", "vpcUuid": vpc}
    return {key: value for key, value in {**wanted, **changed}.items() if value is not None}


def view(cloud: DigitalOcean):
    assert isinstance(cloud.world, Paper)
    return cloud.world.view


def test_without_a_token_the_provider_says_how_to_set_it(engine: Engine):
    with pytest.raises(Refused, match="pulumi config set digitalocean:token"):
        engine.configure()


def test_what_has_no_name_gets_its_own_with_seven_hex_digits_and_keeps_it(engine: Engine):
    inputs = engine.check(DROPLET, "web-0", droplet("v"))
    assert str(inputs["name"]).startswith("web-0-")
    assert len(str(inputs["name"])) == len("web-0-") + 7
    assert engine.check(DROPLET, "web-0", droplet("v"), olds=inputs)["name"] == inputs["name"]
    assert engine.check(DROPLET, "web-0", droplet("v"))["name"] != inputs["name"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"image": None}, "missing required property 'image'"),
        ({"colour": "red"}, "unrecognized property 'colour'"),
        ({"size": 4}, "expected a string"),
        ({"name": "under_score"}, "doesn't match"),
        ({"name": "x" * 256}, "takes 255"),
    ],
)
def test_inputs_that_the_provider_does_not_know_are_refused_in_the_preview(
    engine: Engine, inputs: dict[str, Any], said: str
):
    with pytest.raises(Refused, match=said):
        engine.check(DROPLET, "web-0", droplet("v", **inputs))


def test_an_unknown_type_is_refused(engine: Engine):
    with pytest.raises(Refused, match="unknown resource type digitalocean:index/pony:Pony"):
        engine.check("digitalocean:index/pony:Pony", "it", {})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"vpcUuid": "nowhere"}, "vpc nowhere could not be found"),
        ({"sshKeys": ["12:34"]}, "12:34 are invalid key identifiers"),
        ({"image": "debian-99-x64"}, "invalid image"),
        ({"size": "s-huge"}, "invalid size"),
        ({"region": "mars1"}, "region 'mars1'"),
        ({"userData": "x" * 70_000}, "user_data is too long"),
    ],
)
def test_what_the_cloud_would_refuse_it_refuses(engine: Engine, changed: dict[str, Any], said: str):
    vpc, _ = engine.make(VPC, region="fra1")
    with pytest.raises(Refused, match=said):
        engine.make(DROPLET, **{**droplet(vpc), **changed})


def test_a_key_and_a_range_that_are_taken_are_refused(engine: Engine):
    engine.make(SSH_KEY, publicKey=KEY)
    with pytest.raises(Refused, match="already in use"):
        engine.make(SSH_KEY, "other", publicKey=KEY)
    engine.make(VPC, region="fra1", ipRange="10.110.0.0/20")
    with pytest.raises(Refused, match="overlaps"):
        engine.make(VPC, "other", region="fra1", ipRange="10.110.8.0/24")


def test_a_preview_touches_nothing_and_does_not_know_what_the_cloud_would_choose(cloud: DigitalOcean, engine: Engine):
    shown = engine.preview(DROPLET, **droplet(UNKNOWN, userData=secret("key")))
    assert is_unknown(shown["ipv4Address"])
    assert is_secret(shown["userData"])
    assert cloud.leftovers() == []


@pytest.mark.parametrize(
    ("changed", "replaces"),
    [
        ({"userData": "b"}, ["userData"]),
        ({"image": "debian-12-x64"}, ["image"]),
        ({"size": "s-2vcpu-2gb"}, []),
        ({"tags": ["x"]}, []),
    ],
)
def test_replacements_follow_the_real_providers_rules(engine: Engine, changed: dict[str, Any], replaces: list[str]):
    olds = engine.check(DROPLET, "it", droplet("v", userData="a"))
    found = engine.diff(DROPLET, olds, {**olds, **changed})
    assert (list(found.diffs), list(found.replaces)) == (list(changed), replaces)
    assert not found.deleteBeforeReplace


def test_what_has_a_name_of_the_programs_own_goes_before_its_successor_comes(engine: Engine):
    olds = engine.check(DROPLET, "it", droplet("v", name="mine"))
    assert engine.diff(DROPLET, olds, {**olds, "image": "debian-12-x64"}).deleteBeforeReplace


def test_firewalls_of_a_tag_add_up_and_the_balancer_is_known_by_its_node(cloud: DigitalOcean, engine: Engine):
    vpc, _ = engine.make(VPC, region="fra1")
    tag, _ = engine.make(TAG)
    engine.make(FIREWALL, "ssh", tags=[tag], inboundRules=[
        {"protocol": "tcp", "portRange": "22", "sourceAddresses": ["198.51.100.7/32", "::1/128"]},
    ])  # fmt: skip
    balancer, _ = engine.make(BALANCER, region="fra1", vpcUuid=vpc, dropletTag=tag, forwardingRules=FORWARDING)
    engine.make(FIREWALL, "web", tags=[tag], inboundRules=[
        {"protocol": "tcp", "portRange": "80", "sourceLoadBalancerUids": [balancer]},
    ])  # fmt: skip
    engine.make(DROPLET, **droplet(vpc, tags=[tag]))
    [instance], [front] = view(cloud).instances, view(cloud).balancers
    assert instance.inbound == (
        Rule(low=22, high=22, peers=("198.51.100.7/32",)),
        Rule(low=80, high=80, peers=front.nodes),
    )
    assert instance.outbound == ()  # no rule for what leaves: nothing leaves
    assert [target.address for target in front.targets] == [instance.private]


def test_a_droplet_without_a_firewall_is_open(cloud: DigitalOcean, engine: Engine):
    vpc, _ = engine.make(VPC, region="fra1")
    engine.make(DROPLET, **droplet(vpc))
    assert view(cloud).instances[0].inbound is None
    assert Rule().peers == (ANYWHERE,)


def test_a_reserved_address_moves_and_an_old_assignment_takes_away_only_its_own(cloud: DigitalOcean, engine: Engine):
    vpc, _ = engine.make(VPC, region="fra1")
    old, new = (engine.make(DROPLET, name, **droplet(vpc))[0] for name in ("old", "new"))
    address = engine.make(RESERVED, region="fra1")[1]["ipAddress"]
    first, _ = engine.make(ASSIGNMENT, dropletId=int(old), ipAddress=address)
    engine.make(ASSIGNMENT, dropletId=int(new), ipAddress=address)
    engine.delete(ASSIGNMENT, first)
    where = {each.id: address in each.publics for each in view(cloud).instances}
    assert where == {old: False, new: True}


def test_a_vpc_with_members_stays_and_they_leave_it_some_time_after_their_deletion(cloud: DigitalOcean, engine: Engine):
    cloud.faults.lingering = 0.5
    vpc, _ = engine.make(VPC, region="fra1")
    id, _ = engine.make(DROPLET, **droplet(vpc))
    with pytest.raises(Refused, match="409 Can not delete VPC with members"):
        engine.delete(VPC, vpc)
    engine.delete(DROPLET, id)
    with pytest.raises(Refused, match="409 Can not delete VPC with members"):
        engine.delete(VPC, vpc)
    time.sleep(0.6)
    engine.delete(VPC, vpc)


def test_what_is_gone_is_not_deleted_again_and_an_address_without_a_droplet_makes_the_provider_panic(
    cloud: DigitalOcean, engine: Engine
):
    vpc, _ = engine.make(VPC, region="fra1")
    id, _ = engine.make(DROPLET, **droplet(vpc))
    address = engine.make(RESERVED, region="fra1")[1]["ipAddress"]
    assignment, _ = engine.make(ASSIGNMENT, dropletId=int(id), ipAddress=address)
    engine.delete(DROPLET, id)
    with pytest.raises(Refused, match="404"):
        engine.delete(DROPLET, id)
    with pytest.raises(Refused, match="nil pointer"):
        engine.delete(ASSIGNMENT, assignment)
    assert engine.read(ASSIGNMENT, assignment) is None


def test_a_balancer_is_taken_out_of_a_project_that_it_does_not_name_with_its_next_change(engine: Engine):
    vpc, _ = engine.make(VPC, region="fra1")
    project, _ = engine.make(PROJECT)
    given = {"region": "fra1", "vpcUuid": vpc, "forwardingRules": FORWARDING}
    named, told = (engine.make(BALANCER, name, **given, **own)
                   for name, own in (("named", {"projectId": project}), ("told", {})))  # fmt: skip
    urns = [each[1]["loadBalancerUrn"] for each in (named, told)]
    resources, _ = engine.make(MEMBERS, project=project, resources=urns)
    for (id, _), own in ((named, {"projectId": project}), (told, {})):
        inputs = {"name": id, **given, **own}
        engine.update(BALANCER, id, inputs, {**inputs, "redirectHttpToHttps": True})
    assert (engine.read(MEMBERS, resources) or {})["resources"] == urns[:1]


def test_drift_is_read_and_what_is_gone_is_gone(cloud: DigitalOcean, engine: Engine):
    vpc, _ = engine.make(VPC, region="fra1")
    id, _ = engine.make(DROPLET, **droplet(vpc, tags=["a"]))
    cloud.things["droplet"][id]["tags"] = ["a", "by-hand"]
    found = engine.read(DROPLET, id, {"tags": ["a"]})
    assert found
    assert found["tags"] == ["a", "by-hand"]
    engine.delete(DROPLET, id)
    assert engine.read(DROPLET, id) is None


def test_the_account_outlives_the_process(cloud: DigitalOcean, tmp_path: Path):
    file = tmp_path / "account.json"
    with asked(DigitalOcean(Paper(), file)) as engine:
        engine.make(VPC, region="fra1")
    assert [line.split()[0] for line in DigitalOcean(Paper(), file).leftovers()] == ["vpc"]


def test_a_throttled_call_is_tried_again_and_one_too_often_throttled_fails(cloud: DigitalOcean, engine: Engine):
    cloud.faults.throttled = 2
    engine.make(VPC, region="fra1")
    assert cloud.faults.retried == 2
    cloud.faults.failing = 5
    with pytest.raises(Refused, match="500"):
        engine.make(VPC, "other", region="fra1", ipRange="10.99.0.0/20")


def test_a_lost_reply_leaves_what_was_made_and_no_capacity_makes_nothing(cloud: DigitalOcean, engine: Engine):
    cloud.faults.lost_replies = ["Vpc"]
    with pytest.raises(Refused, match="connection reset"):
        engine.make(VPC, region="fra1", ipRange="10.99.0.0/20")
    assert len(cloud.leftovers()) == 1
    vpc = next(iter(cloud.things["vpc"]))
    cloud.faults.no_capacity = {"Droplet"}
    with pytest.raises(Refused, match="no capacity"):
        engine.make(DROPLET, **droplet(vpc))
    assert len(cloud.leftovers()) == 1
