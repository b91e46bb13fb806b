"""The creates that a killed `up` left under way, and how resources that are found come into the state."""

from __future__ import annotations

from typing import Any

from tools.recover import state

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"


def urn(type_: str, name: str = "prod") -> str:
    return f"urn:pulumi:prod::gantry::{type_}::{name}"


def resource(type_: str, id: str | None = None, **more: Any) -> dict[str, Any]:
    with_id = {"id": id} if id else {}
    return {"urn": urn(type_, more.pop("name", "prod")), "type": type_, "custom": True, "inputs": {}, **with_id, **more}


def deployment(resources: list[dict[str, Any]], *creating: dict[str, Any], other: str = "updating") -> dict[str, Any]:
    operations = [{"type": "creating", "resource": new} for new in creating]
    return {"resources": resources, "pending_operations": [*operations, {"type": other, "resource": resource(VPC)}]}


def adopted(existing: list[dict[str, Any]], new: dict[str, Any], id: str) -> list[dict[str, Any]]:
    """The resources of the state after ``new`` was found with this id."""
    before = deployment(existing, new)
    return state.adopt(before, [(state.pending_creates(before)[0], id)])["resources"]


def fates(resources: list[dict[str, Any]]) -> dict[str, str]:
    """For each id what the next `up` does with the resource."""
    return {resource["id"]: "delete" if resource.get("delete") else "keep" for resource in resources}


def test_only_creates_are_looked_for():
    assert [create.type for create in state.pending_creates(deployment([], resource(SUBNET)))] == [SUBNET]
    assert state.pending_creates({}) == []


def test_an_adopted_resource_comes_after_all_it_refers_to_and_before_the_rest():
    provider = {**resource("pulumi:providers:aws"), "id": "uuid"}
    existing = [
        resource(VPC, "vpc-1"),
        resource("component", name="parent"),
        provider,
        resource(VPC, "vpc-9", name="x"),
    ]
    new = resource(
        SUBNET, provider=f"{provider['urn']}::uuid", parent=urn("component", "parent"), dependencies=[urn(VPC)],
        propertyDependencies={"vpcId": [urn(VPC)], "tags": None},
    )  # fmt: skip
    listed = adopted(existing, new, "subnet-1")
    assert [resource.get("id") for resource in listed] == ["vpc-1", None, "uuid", "subnet-1", "vpc-9"]


def test_an_adopted_resource_has_its_inputs_as_outputs_so_that_the_provider_accepts_it():
    new = resource(VPC, inputs={"name": "prod-1", "userData": {"ciphertext": "c"}, "__defaults": ["name"]})
    [new_resource] = adopted([], new, "vpc-1")
    outputs = {key: value for key, value in new_resource["outputs"].items() if key != "__meta"}
    assert outputs == {"id": "vpc-1", "name": "prod-1", "userData": {"ciphertext": "c"}}
    assert new_resource["inputs"]["__defaults"] == ["name"]


def test_an_adopted_resource_has_its_schema_version_so_that_the_provider_does_not_migrate_it():
    balancer, tag = (f"digitalocean:index/{type_}" for type_ in ("loadBalancer:LoadBalancer", "tag:Tag"))
    [new_resource] = adopted([], resource(balancer), "lb-1")
    assert new_resource["outputs"]["__meta"] == '{"schema_version":"1"}'
    [new_resource] = adopted([], resource(tag), "prod")
    assert new_resource["outputs"] == {"id": "prod"}


def test_an_adopted_replacement_marks_the_old_resource_for_deletion():
    old = resource(VPC, "vpc-1", inputs={"cidrBlock": "10.0.0.0/16"})
    new = resource(VPC, inputs={"cidrBlock": "10.1.0.0/16"})
    assert fates(adopted([old], new, "vpc-2")) == {"vpc-1": "delete", "vpc-2": "keep"}


def test_a_resource_that_was_deleted_before_its_replacement_is_dropped():
    old = resource(VPC, "vpc-1", inputs={"cidrBlock": "10.0.0.0/16"}, pendingReplacement=True)
    assert fates(adopted([old], resource(VPC), "vpc-2")) == {"vpc-2": "keep"}


def test_a_resource_that_a_later_up_created_stays_and_the_found_one_is_marked_for_deletion():
    # Each export encrypts secrets anew.
    one, other = ({"name": name, "userData": {state.SECRET: "1b47", "ciphertext": name}, "__defaults": ["name"]}
                  for name in ("prod-1", "prod-2"))  # fmt: skip
    current, stale = resource(VPC, "vpc-1", inputs=other), resource(VPC, inputs=one)
    assert fates(adopted([current], stale, "vpc-2")) == {"vpc-1": "keep", "vpc-2": "delete"}


def test_a_create_that_refers_to_a_resource_outside_the_state_is_noticed():
    [new] = state.pending_creates(deployment([], resource(SUBNET, parent=urn("component"), dependencies=[urn(VPC)])))
    assert not state.has_references_of({}, new)
    assert not state.has_references_of(deployment([resource(VPC, "vpc-1")]), new)
    assert state.has_references_of(deployment([resource(VPC, "vpc-1"), resource("component")]), new)


def test_a_missing_resource_is_removed_with_all_references_to_it():
    missing, other = resource(VPC, "vpc-1"), resource(VPC, "vpc-2", name="other")
    subnet = resource(
        SUBNET, "subnet-1", dependencies=[urn(VPC), urn(VPC, "other")],
        propertyDependencies={"vpcId": [urn(VPC)], "tags": None},
    )  # fmt: skip
    before = deployment([missing, other, subnet], resource(SUBNET))
    after = state.without(before, [missing])
    assert state.ids(after) == {"vpc-2", "subnet-1"}
    assert after["resources"][1]["dependencies"] == [urn(VPC, "other")]
    assert after["resources"][1]["propertyDependencies"] == {"vpcId": [], "tags": []}
    assert after["pending_operations"] == before["pending_operations"]


def test_references_stay_if_another_resource_has_the_urn_of_a_missing_one():
    missing, successor = resource(VPC, "vpc-1", delete=True), resource(VPC, "vpc-2")
    subnet = resource(SUBNET, "subnet-1", dependencies=[urn(VPC)])
    after = state.without(deployment([successor, subnet, missing]), [missing])
    assert after["resources"] == [successor, subnet]


def test_no_operation_stays_pending_after_an_adoption():
    before = deployment([], resource(VPC), other="deleting")
    assert state.adopt(before, [(state.pending_creates(before)[0], "vpc-1")])["pending_operations"] == []


def test_a_candidate_that_the_state_has_already_is_not_assigned():
    creates = state.pending_creates(deployment([], resource(VPC)))
    assert state.assign_ids(creates, {0: {"vpc-1", "vpc-2"}}, {"vpc-1"}) == {0: "vpc-2"}
    assert state.assign_ids(creates, {0: {"vpc-1"}}, {"vpc-1"}) == {}


def test_no_id_is_assigned_if_there_are_more_candidates_than_creates():
    creates = state.pending_creates(deployment([], resource(VPC)))
    assert state.assign_ids(creates, {0: {"vpc-1", "vpc-2"}}, set()) == {}


def test_two_creates_of_one_resource_get_one_of_two_candidates_each():
    creates = state.pending_creates(deployment([], resource(VPC), resource(VPC)))
    both = {"vpc-1", "vpc-2"}
    assert state.assign_ids(creates, {0: both, 1: both}, set()) == {0: "vpc-1", 1: "vpc-2"}
