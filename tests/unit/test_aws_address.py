from __future__ import annotations

from pathlib import Path

import pytest

from tests.mocks import AWS, SITE, Cloud, built


@pytest.fixture
def single(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """One server with an address."""
    return built(tmp_path, monkeypatch, **AWS)


def test_the_address_moves_only_after_the_hook_that_delivers_the_release(single: Cloud):
    association = single.one(":EipAssociation")
    assert "pulumi-python:dynamic/gantry:Handover::prod-address-handover" in association.waits_for
    assert association.inputs["allowReassociation"] is True


def test_the_hook_belongs_to_what_outlasts_the_association(single: Cloud):
    [handover] = [each for each in single.made if each.name == "prod-address-handover"]
    assert list(handover.request.hooks.before_create) == ["prod-address-handover"]
    assert handover.inputs["instance_id"] == single.outputs["servers"][0]["instance_id"]
    assert not single.one(":EipAssociation").request.hooks.before_create


def test_every_command_goes_to_the_address_that_stays_and_waits_until_it_leads_to_the_server(single: Cloud):
    address = single.outputs["url"].removeprefix("http://").rstrip("/")
    commands = [each for each in single.made if each.type.startswith("command:remote:")]
    assert len(commands) == 5
    for command in commands:
        assert command.inputs["connection"]["value"]["host"] == address, command.name
        assert any(":EipAssociation::" in each for each in command.waits_for), command.name
    assert single.outputs["servers"][0]["address"] == address


def test_the_association_is_of_a_known_server_and_its_id_is_no_secret(single: Cloud):
    assert single.one(":EipAssociation").inputs["instanceId"] == single.outputs["servers"][0]["instance_id"]


def test_with_a_zone_the_names_lead_to_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, **AWS, **SITE)
    records = {each.inputs["name"]: each.inputs for each in cloud.of(":Record")}
    assert set(records) == {"shop.example.org", "www.shop.example.org"}
    assert {each["type"] for each in records.values()} == {"A"}
    assert cloud.outputs["url"] == "http://shop.example.org/"
    assert not cloud.of(":Certificate")


def test_protect_keeps_the_address_and_lets_servers_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, **AWS, protect=True)
    assert {each.type for each in cloud.made if each.request.protect} == {"aws:ec2/eip:Eip"}


def test_nothing_is_protected_unless_asked(single: Cloud):
    assert not [each.name for each in single.made if each.request.protect]


def test_a_single_server_is_in_no_balancer(single: Cloud):
    assert not [each.name for each in single.made if each.type.startswith("aws:lb/") or "leaving" in each.name]
