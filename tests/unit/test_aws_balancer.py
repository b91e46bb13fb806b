from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from components import manifest
from components.aws import balancer, logs
from tests.cloud import AWS, SITE, Cloud, built

MANY = {**AWS, "servers": 2, "balancer": True}


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Two servers behind a balancer."""
    return built(tmp_path, monkeypatch, **MANY)


def test_a_server_gets_requests_once_the_whole_rollout_is_done(fleet: Cloud):
    for attachment in fleet.of(":TargetGroupAttachment"):
        waits = attachment.waits_for
        assert {f"command:remote:Command::prod-{number}-confirm" for number in (0, 1)} <= waits


def test_a_server_is_out_of_the_balancer_before_it_leaves_and_has_left_before_it_is_gone(fleet: Cloud):
    for number in (0, 1):
        # What waits for another at creation is deleted before it.
        attachment = fleet.one(":TargetGroupAttachment", f"prod-{number}-attachment")
        assert any(each.endswith(f"::prod-{number}-leaving") for each in attachment.waits_for)
        leaving = fleet.one(":Leaving", f"prod-{number}-leaving")
        assert f"aws:ec2/instance:Instance::prod-{number}" in leaving.waits_for


def test_no_server_is_taken_out_before_the_new_ones_are_found_healthy(fleet: Cloud):
    for number in (0, 1):
        joined = fleet.one(":Command", f"prod-{number}-joined")
        assert any(each.endswith(f"::prod-{number}-attachment") for each in joined.waits_for)
        group = fleet.one(":TargetGroup").inputs["healthCheck"]
        settle = re.search(r"gantry wait-for-balancer --settle (\d+) --limit 300 --from ", joined.inputs["create"])
        assert settle and int(settle[1]) > group["interval"] * group["healthyThreshold"]


def test_the_checks_are_quick_and_the_drain_is_as_long_as_a_request_may_be(fleet: Cloud):
    group = fleet.one(":TargetGroup").inputs
    assert group["deregistrationDelay"] == manifest.GRACEFUL_SECONDS
    assert group["healthCheck"] == {
        "protocol": "HTTP", "port": "traffic-port", "path": "/healthz", "matcher": "200-399",
        "interval": 5, "timeout": 3, "healthyThreshold": 2, "unhealthyThreshold": 2,
    }  # fmt: skip


def test_the_status_that_is_well_is_the_balancers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, **MANY, health_status=204)
    assert cloud.one(":TargetGroup").inputs["healthCheck"]["matcher"] == "204"


def test_the_balancer_refuses_what_servers_may_read_in_two_ways(fleet: Cloud):
    inputs = fleet.one(":LoadBalancer").inputs
    assert inputs["dropInvalidHeaderFields"] is True
    assert inputs["desyncMitigationMode"] == "strictest"
    assert 60 < inputs["idleTimeout"] < 75, "longer than a server's limit, shorter than its Nginx keeps connections"


def test_without_a_zone_it_is_http_and_with_one_http_is_sent_to_https(
    fleet: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (plain,) = fleet.of(":Listener")
    assert plain.inputs["defaultActions"][0]["type"] == "forward"
    cloud = built(tmp_path, monkeypatch, **MANY, **SITE)
    listeners = {int(each.inputs["port"]): each.inputs for each in cloud.of(":Listener")}
    assert listeners[80]["defaultActions"][0]["redirect"]["protocol"] == "HTTPS"
    assert listeners[443]["sslPolicy"] == balancer.TLS_POLICY
    assert listeners[443]["defaultActions"][0]["type"] == "forward"
    assert cloud.outputs["url"] == "https://shop.example.org/"


def test_both_names_are_proven_by_their_own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, **MANY, **SITE)
    proofs = {each.name: each.inputs for each in cloud.of(":Record") if each.name.endswith("-proof")}
    # The mocked cloud gives them in another order than they were asked for.
    for name in ("shop.example.org", "www.shop.example.org"):
        inputs = proofs[f"{name}-proof"]
        assert (inputs["name"], inputs["records"], inputs["type"]) == (f"_p.{name}", [f"v.{name}"], "CNAME")


def test_names_lead_to_the_balancer_by_alias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, **MANY, **SITE)
    aliases = [each.inputs for each in cloud.of(":Record") if "aliases" in each.inputs]
    assert {each["name"] for each in aliases} == {"shop.example.org", "www.shop.example.org"}
    assert {each["aliases"][0]["name"] for each in aliases} == {"lb.example.net"}


def test_names_lead_to_the_balancer_when_it_has_servers_and_are_the_same_records_as_those_of_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fleet = built(tmp_path, monkeypatch, **MANY, **SITE)
    single = built(tmp_path, monkeypatch, **AWS, **SITE)
    for name in ("shop.example.org", "www.shop.example.org"):
        record = fleet.one(":Record", name)
        assert {f"command:remote:Command::prod-{number}-joined" for number in (0, 1)} <= record.waits_for
        assert record.request.parent == single.one(":Record", name).request.parent
        assert any(":EipAssociation::" in each for each in single.one(":Record", name).waits_for)


def test_long_names_fit_the_load_balancers_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, stack="production_europe_and_everything.else", **MANY, access_logs=True)
    for made in (cloud.one(":LoadBalancer"), cloud.one(":TargetGroup")):
        assert len(made.name) + len("-0a1b2c3") <= 32
    assert len(cloud.one(":Bucket").name) + len("-0a1b2c3") <= 63


@pytest.mark.parametrize("stack", ["internal", "internal-shop", "sg-shop"])
def test_neither_the_balancer_nor_a_group_has_a_name_that_aws_keeps_for_others(
    stack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cloud = built(tmp_path, monkeypatch, stack=stack, **MANY)
    assert not cloud.one(":LoadBalancer").name.startswith("internal-")
    assert not [each.name for each in cloud.of(":SecurityGroup") if each.name.startswith("sg-")]


def test_protect_keeps_the_balancer_and_its_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, **MANY, protect=True, access_logs=True)
    assert {each.type.rpartition(":")[2] for each in cloud.made if each.request.protect} == {"LoadBalancer", "Bucket"}
    assert cloud.one(":LoadBalancer").inputs["enableDeletionProtection"] is True
    assert cloud.one(":Bucket").inputs["forceDestroy"] is False
    # A bucket that stays is as closed as before.
    assert {each.type for each in cloud.made if each.request.retainOnDelete} == {
        each.type for each in cloud.made if ":s3/" in each.type
    }


def test_access_logs_go_to_a_closed_encrypted_bucket_before_the_balancer_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cloud = built(tmp_path, monkeypatch, **MANY, access_logs=True)
    blocked = cloud.one(":BucketPublicAccessBlock").inputs
    assert all(blocked[key] is True for key in blocked if key != "bucket")
    assert len(blocked) == 5
    assert cloud.one(":LoadBalancer").inputs["accessLogs"]["enabled"] is True
    rule = cloud.one(":BucketServerSideEncryptionConfiguration").inputs["rules"][0]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}


def test_the_balancer_may_write_for_a_while_before_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, **MANY, access_logs=True)
    assert any(":BucketPolicy::" in each for each in cloud.one(":BucketLifecycleConfiguration").waits_for)
    waited_for = cloud.one(":LoadBalancer").waits_for
    assert any(":BucketLifecycleConfiguration::" in each for each in waited_for)


def test_without_access_logs_there_is_no_bucket_and_the_balancer_is_told_so(fleet: Cloud):
    assert not [each.name for each in fleet.made if each.type.startswith("aws:s3/")]
    assert fleet.one(":LoadBalancer").inputs["accessLogs"] == {"bucket": "", "enabled": False}


def test_only_load_balancers_may_write_logs():
    allowed = [each for each in json.loads(logs.policy("arn:logs"))["Statement"] if each["Effect"] == "Allow"]
    assert allowed == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": "arn:logs/AWSLogs/*",
        }
    ]


def test_a_fleet_has_no_elastic_address(fleet: Cloud):
    assert not fleet.of(":Eip") + fleet.of(":EipAssociation")
    for number in (0, 1):
        own = fleet.outputs["servers"][number]["address"]
        assert fleet.one(":Command", f"prod-{number}-ready").inputs["connection"]["value"]["host"] == own
