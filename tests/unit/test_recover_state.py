"""What a killed `up` was about, and how what is found of it comes into the state."""

from __future__ import annotations

from typing import Any

from tools.recover import state

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"


def urn(type_: str, name: str = "prod") -> str:
    return f"urn:pulumi:prod::gantry::{type_}::{name}"


def resource(type_: str, id: str | None = None, **more: Any) -> dict[str, Any]:
    own = {"id": id} if id else {}
    return {"urn": urn(type_, more.pop("name", "prod")), "type": type_, "custom": True, "inputs": {}, **own, **more}


def deployment(resources: list[dict[str, Any]], *creating: dict[str, Any], other: str = "updating") -> dict[str, Any]:
    operations = [{"type": "creating", "resource": each} for each in creating]
    return {"resources": resources, "pending_operations": [*operations, {"type": other, "resource": resource(VPC)}]}


def brought_in(there: list[dict[str, Any]], new: dict[str, Any], id: str) -> list[dict[str, Any]]:
    given = deployment(there, new)
    return state.adopted(given, [(state.pending(given)[0], id)])["resources"]


def shown(resources: list[dict[str, Any]]) -> dict[str, str]:
    return {each["id"]: "goes" if each.get("delete") else "stays" for each in resources}


def test_only_creates_are_looked_for():
    assert [each.type for each in state.pending(deployment([], resource(SUBNET)))] == [SUBNET]
    assert state.pending({}) == []


def test_what_is_found_comes_after_all_that_it_refers_to_and_before_the_rest():
    provider = {**resource("pulumi:providers:aws"), "id": "uuid"}
    there = [resource(VPC, "vpc-1"), resource("component", name="parent"), provider, resource(VPC, "vpc-9", name="x")]
    new = resource(
        SUBNET, provider=f"{provider['urn']}::uuid", parent=urn("component", "parent"), dependencies=[urn(VPC)],
        propertyDependencies={"vpcId": [urn(VPC)], "tags": None},
    )  # fmt: skip
    listed = brought_in(there, new, "subnet-1")
    assert [each.get("id") for each in listed] == ["vpc-1", None, "uuid", "subnet-1", "vpc-9"]


def test_it_has_its_inputs_for_outputs_so_that_a_provider_takes_it_for_its_own():
    new = resource(VPC, inputs={"name": "prod-1", "userData": {"ciphertext": "c"}, "__defaults": ["name"]})
    [made] = brought_in([], new, "vpc-1")
    outputs = {key: value for key, value in made["outputs"].items() if key != "__meta"}
    assert outputs == {"id": "vpc-1", "name": "prod-1", "userData": {"ciphertext": "c"}}
    assert made["inputs"]["__defaults"] == ["name"]


def test_it_says_the_version_of_its_schema_so_that_a_provider_does_not_migrate_what_is_of_today():
    balancer, tag = (f"digitalocean:index/{each}" for each in ("loadBalancer:LoadBalancer", "tag:Tag"))
    [made] = brought_in([], resource(balancer), "lb-1")
    assert made["outputs"]["__meta"] == '{"schema_version":"1"}'
    [made] = brought_in([], resource(tag), "prod")
    assert made["outputs"] == {"id": "prod"}


def test_what_replaces_another_makes_that_one_go_with_the_next_up():
    old = resource(VPC, "vpc-1", inputs={"cidrBlock": "10.0.0.0/16"})
    new = resource(VPC, inputs={"cidrBlock": "10.1.0.0/16"})
    assert shown(brought_in([old], new, "vpc-2")) == {"vpc-1": "goes", "vpc-2": "stays"}


def test_what_was_deleted_before_its_replacement_is_dropped():
    old = resource(VPC, "vpc-1", inputs={"cidrBlock": "10.0.0.0/16"}, pendingReplacement=True)
    assert shown(brought_in([old], resource(VPC), "vpc-2")) == {"vpc-2": "stays"}


def test_what_another_up_has_made_again_since_stays_and_the_unheard_one_goes():
    # Encrypted anew each time.
    one, other = ({"name": name, "userData": {state.SECRET: "1b47", "ciphertext": name}, "__defaults": ["name"]}
                  for name in ("prod-1", "prod-2"))  # fmt: skip
    there, stale = resource(VPC, "vpc-1", inputs=other), resource(VPC, inputs=one)
    assert shown(brought_in([there], stale, "vpc-2")) == {"vpc-1": "stays", "vpc-2": "goes"}


def test_what_refers_to_something_that_is_gone_does_not_fit():
    [new] = state.pending(deployment([], resource(SUBNET, parent=urn("component"), dependencies=[urn(VPC)])))
    assert not state.fits({}, new)
    assert not state.fits(deployment([resource(VPC, "vpc-1")]), new)
    assert state.fits(deployment([resource(VPC, "vpc-1"), resource("component")]), new)


def test_what_is_lost_goes_and_what_stays_does_not_speak_of_it():
    lost, other = resource(VPC, "vpc-1"), resource(VPC, "vpc-2", name="other")
    subnet = resource(
        SUBNET, "subnet-1", dependencies=[urn(VPC), urn(VPC, "other")],
        propertyDependencies={"vpcId": [urn(VPC)], "tags": None},
    )  # fmt: skip
    given = deployment([lost, other, subnet], resource(SUBNET))
    left = state.without(given, [lost])
    assert state.ids(left) == {"vpc-2", "subnet-1"}
    assert left["resources"][1]["dependencies"] == [urn(VPC, "other")]
    assert left["resources"][1]["propertyDependencies"] == {"vpcId": [], "tags": []}
    assert left["pending_operations"] == given["pending_operations"]


def test_of_two_with_one_urn_the_one_that_is_there_is_still_spoken_of():
    lost, successor = resource(VPC, "vpc-1", delete=True), resource(VPC, "vpc-2")
    subnet = resource(SUBNET, "subnet-1", dependencies=[urn(VPC)])
    left = state.without(deployment([successor, subnet, lost]), [lost])
    assert left["resources"] == [successor, subnet]


def test_nothing_stays_pending():
    given = deployment([], resource(VPC), other="deleting")
    assert state.adopted(given, [(state.pending(given)[0], "vpc-1")])["pending_operations"] == []


def test_of_things_that_look_alike_the_one_that_the_state_has_is_not_taken():
    waiting = state.pending(deployment([], resource(VPC)))
    assert state.chosen(waiting, {0: {"vpc-1", "vpc-2"}}, {"vpc-1"}) == {0: "vpc-2"}
    assert state.chosen(waiting, {0: {"vpc-1"}}, {"vpc-1"}) == {}


def test_of_more_things_than_creates_none_is_taken():
    waiting = state.pending(deployment([], resource(VPC)))
    assert state.chosen(waiting, {0: {"vpc-1", "vpc-2"}}, set()) == {}


def test_two_creates_of_one_resource_share_what_two_kills_left():
    waiting = state.pending(deployment([], resource(VPC), resource(VPC)))
    both = {"vpc-1", "vpc-2"}
    assert state.chosen(waiting, {0: both, 1: both}, set()) == {0: "vpc-1", 1: "vpc-2"}
