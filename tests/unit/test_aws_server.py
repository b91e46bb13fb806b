from __future__ import annotations

from pathlib import Path

import pytest

from components.aws import image
from tests.mocks import AWS, Recorder, build_stack


@pytest.fixture
def single(tmp_path: Path) -> Recorder:
    """One server with an Elastic IP."""
    return build_stack(tmp_path, **AWS, size="m7i.large")


@pytest.mark.parametrize("size", ["t4g.small", "c8gn.large", "m6gd.xlarge", "x2gd.medium", "im4gn.large", "a1.large"])
def test_graviton_sizes_get_the_arm_image(size: str):
    assert image.architecture(size) == "arm64"


@pytest.mark.parametrize(
    "size", ["t3.micro", "g4dn.xlarge", "m7i.large", "gr6.4xlarge", "hpc6a.48xlarge", "u-6tb1.metal"]
)
def test_every_other_size_gets_the_amd64_image(size: str):
    assert image.architecture(size) == "amd64"


def test_the_image_is_pinned_by_owner_and_exact_name(single: Recorder):
    lookups = [lookup.args for lookup in single.lookups if lookup.token == "aws:ec2/getAmi:getAmi"]
    assert len(lookups) == 1
    assert lookups[0]["owners"] == ["136693071363"]
    assert lookups[0]["filters"] == [{"name": "name", "values": [f"debian-13-amd64-{image.BUILD}"]}]
    assert "mostRecent" not in lookups[0]


def test_the_image_is_looked_up_once_for_all_servers(tmp_path: Path):
    stack = build_stack(tmp_path, **AWS, servers=5, balancer=True)
    assert [lookup.token for lookup in stack.lookups].count("aws:ec2/getAmi:getAmi") == 1


def test_the_metadata_needs_a_token_and_is_only_for_the_server_itself(single: Recorder):
    options = single.one(":Instance").inputs["metadataOptions"]
    assert options == {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}


def test_the_disk_is_encrypted(single: Recorder):
    disk = single.one(":Instance").inputs["rootBlockDevice"]
    assert (disk["encrypted"], disk["volumeType"]) == (True, "gp3")


def test_a_change_of_user_data_or_size_replaces_the_server(single: Recorder):
    instance = single.one(":Instance")
    assert instance.inputs["userDataReplaceOnChange"] is True
    assert list(instance.request.replaceOnChanges) == ["instanceType"]
    assert "associatePublicIpAddress" not in instance.inputs, "it would replace a stopped instance"


def test_a_server_that_had_an_elastic_ip_is_replaced_before_it_gets_a_balancer(single: Recorder, tmp_path: Path):
    # The Elastic IP has taken the server's own public address away.
    before = single.one(":Instance").request.replacement_trigger
    after = build_stack(tmp_path, **AWS, balancer=True).one(":Instance").request.replacement_trigger
    assert before != after


def test_the_first_boot_can_reach_the_internet(single: Recorder):
    instance = single.one(":Instance")
    for type_end in (":Route", ":RouteTableAssociation", ":SecurityGroupEgressRule", ":InternetGateway"):
        assert instance.waits_for(type_end), type_end


def test_servers_are_spread_over_both_zones(tmp_path: Path):
    stack = build_stack(tmp_path, **AWS, servers=4, balancer=True)
    instances = sorted(stack.of_type(":Instance"), key=lambda instance: instance.name)
    subnets = [instance.inputs["subnetId"] for instance in instances]
    assert len(set(subnets)) == 2
    assert subnets[:2] == subnets[2:]
