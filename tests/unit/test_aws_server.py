from __future__ import annotations

from pathlib import Path

import pytest

from components.aws import image
from tests.mocks import AWS, Cloud, built


@pytest.fixture
def single(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """One server with an address."""
    return built(tmp_path, monkeypatch, **AWS, size="m7i.large")


@pytest.mark.parametrize("size", ["t4g.small", "c8gn.large", "m6gd.xlarge", "x2gd.medium", "im4gn.large", "a1.large"])
def test_graviton_sizes_get_the_arm_image(size: str):
    assert image.architecture(size) == "arm64"


@pytest.mark.parametrize(
    "size", ["t3.micro", "g4dn.xlarge", "m7i.large", "gr6.4xlarge", "hpc6a.48xlarge", "u-6tb1.metal"]
)
def test_every_other_size_gets_the_usual_image(size: str):
    assert image.architecture(size) == "amd64"


def test_the_image_is_pinned_by_owner_and_exact_name(single: Cloud):
    asked = [each.args for each in single.asked if each.token == "aws:ec2/getAmi:getAmi"]
    assert len(asked) == 1
    assert asked[0]["owners"] == ["136693071363"]
    assert asked[0]["filters"] == [{"name": "name", "values": [f"debian-13-amd64-{image.BUILD}"]}]
    assert "mostRecent" not in asked[0]


def test_the_image_is_looked_up_once_for_all_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, **AWS, servers=5, balancer=True)
    assert [each.token for each in cloud.asked].count("aws:ec2/getAmi:getAmi") == 1


def test_the_metadata_needs_a_token_and_is_for_the_server_itself(single: Cloud):
    options = single.one(":Instance").inputs["metadataOptions"]
    assert options == {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}


def test_the_disk_is_encrypted(single: Cloud):
    disk = single.one(":Instance").inputs["rootBlockDevice"]
    assert (disk["encrypted"], disk["volumeType"]) == (True, "gp3")


def test_another_first_boot_or_size_makes_another_server(single: Cloud):
    made = single.one(":Instance")
    assert made.inputs["userDataReplaceOnChange"] is True
    assert list(made.request.replaceOnChanges) == ["instanceType"]
    assert "associatePublicIpAddress" not in made.inputs, "a stopped instance would be replaced for it"


def test_a_server_that_has_lost_its_own_address_to_an_elastic_one_does_not_go_behind_a_balancer(
    single: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = single.one(":Instance").request.replacement_trigger
    after = built(tmp_path, monkeypatch, **AWS, balancer=True).one(":Instance").request.replacement_trigger
    assert before != after


def test_the_first_boot_has_a_way_to_the_internet(single: Cloud):
    waits = single.one(":Instance").waits_for
    for needed in (":Route::", ":RouteTableAssociation::", ":SecurityGroupEgressRule::", ":InternetGateway::"):
        assert any(needed in each for each in waits), needed


def test_servers_are_spread_over_both_zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, **AWS, servers=4, balancer=True)
    used = [each.inputs["subnetId"] for each in sorted(cloud.of(":Instance"), key=lambda each: each.name)]
    assert len(set(used)) == 2
    assert used[:2] == used[2:]
