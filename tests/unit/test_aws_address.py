from __future__ import annotations

from pathlib import Path

import pytest

from tests.mocks import AWS, SITE, Recorder, build_stack


@pytest.fixture
def single(tmp_path: Path) -> Recorder:
    """One server with an Elastic IP."""
    return build_stack(tmp_path, **AWS)


def test_the_address_moves_only_after_the_rollout_hook(single: Recorder):
    association = single.one(":EipAssociation")
    assert "pulumi-python:dynamic/gantry:Handover::prod-address-handover" in association.dependencies
    assert association.inputs["allowReassociation"] is True


def test_the_hook_belongs_to_a_resource_that_outlasts_the_association(single: Recorder):
    [rollout_hook] = [resource for resource in single.registrations if resource.name == "prod-address-handover"]
    assert list(rollout_hook.request.hooks.before_create) == ["prod-address-handover"]
    assert rollout_hook.inputs["instance_id"] == single.output["servers"][0]["instance_id"]
    assert not single.one(":EipAssociation").request.hooks.before_create


def test_every_command_uses_the_elastic_ip_and_waits_for_its_association(single: Recorder):
    address = single.output["url"].removeprefix("http://").rstrip("/")
    commands = [resource for resource in single.registrations if resource.type.startswith("command:remote:")]
    # ready, logins, host-program, configure, kept-certificate, artifact, release and certificate.
    assert len(commands) == 8
    for command in commands:
        assert command.inputs["connection"]["value"]["host"] == address, command.name
        assert command.waits_for(":EipAssociation"), command.name
    assert single.output["servers"][0]["address"] == address


def test_the_association_names_its_server_in_an_input_that_is_no_secret(single: Recorder):
    assert single.one(":EipAssociation").inputs["instanceId"] == single.output["servers"][0]["instance_id"]


def test_with_a_zone_the_domain_and_www_point_to_the_address(tmp_path: Path):
    stack = build_stack(tmp_path, **AWS, **SITE)
    records = {record.inputs["name"]: record.inputs for record in stack.of_type(":Record")}
    assert set(records) == {"shop.example.org", "www.shop.example.org"}
    assert {inputs["type"] for inputs in records.values()} == {"A"}
    assert stack.output["url"] == "http://shop.example.org/"
    assert not stack.of_type(":Certificate")


def test_protect_keeps_the_address_and_lets_servers_be_replaced(tmp_path: Path):
    stack = build_stack(tmp_path, **AWS, protect=True)
    protected = {resource.type for resource in stack.registrations if resource.request.protect}
    assert protected == {"aws:ec2/eip:Eip"}


def test_without_the_setting_nothing_is_protected(single: Recorder):
    assert not [resource.name for resource in single.registrations if resource.request.protect]


def test_a_single_server_has_no_balancer_and_no_drain(single: Recorder):
    assert not [
        resource.name
        for resource in single.registrations
        if resource.type.startswith("aws:lb/") or "leaving" in resource.name
    ]
