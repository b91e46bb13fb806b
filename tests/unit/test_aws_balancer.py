from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from components.aws import balancer, logs
from host import times
from tests.mocks import AWS, SITE, Recorder, build_stack

BALANCED = {**AWS, "servers": 2, "balancer": True}


@pytest.fixture
def fleet(tmp_path: Path) -> Recorder:
    """Two servers behind a balancer."""
    return build_stack(tmp_path, **BALANCED)


def test_a_server_joins_the_balancer_after_the_whole_rollout(fleet: Recorder):
    for attachment in fleet.of_type(":TargetGroupAttachment"):
        for number in (0, 1):
            assert f"command:remote:Command::prod-{number}-confirm" in attachment.dependencies


def test_a_server_is_detached_then_drained_then_deleted(fleet: Recorder):
    for number in (0, 1):
        # Pulumi deletes in the opposite order: a resource goes before those that it waited for.
        attachment = fleet.one(":TargetGroupAttachment", f"prod-{number}-attachment")
        assert f"prod-{number}-leaving" in attachment.dependency_names
        drain = fleet.one(":Leaving", f"prod-{number}-leaving")
        assert f"aws:ec2/instance:Instance::prod-{number}" in drain.dependencies


def test_no_server_is_removed_before_the_balancer_finds_the_new_ones_healthy(fleet: Recorder):
    for number in (0, 1):
        joined = fleet.one(":Command", f"prod-{number}-joined")
        assert f"prod-{number}-attachment" in joined.dependency_names
        health_check = fleet.one(":TargetGroup").inputs["healthCheck"]
        settle = re.search(r"gantry wait-for-balancer --settle (\d+) --limit 300 --from ", joined.inputs["create"])
        assert settle and int(settle[1]) > health_check["interval"] * health_check["healthyThreshold"]


def test_health_checks_are_quick_and_the_drain_is_as_long_as_the_longest_request(fleet: Recorder):
    inputs = fleet.one(":TargetGroup").inputs
    assert inputs["deregistrationDelay"] == times.DRAIN_SECONDS
    assert inputs["healthCheck"] == {
        "protocol": "HTTP",
        "port": "traffic-port",
        "path": "/healthz",
        "matcher": "200-399",
        "interval": 5,
        "timeout": 3,
        "healthyThreshold": 2,
        "unhealthyThreshold": 2,
    }


def test_the_balancer_expects_the_health_status_of_the_settings(tmp_path: Path):
    stack = build_stack(tmp_path, **BALANCED, health_status=204)
    assert stack.one(":TargetGroup").inputs["healthCheck"]["matcher"] == "204"


def test_the_balancer_refuses_ambiguous_requests_and_closes_idle_connections_before_nginx(fleet: Recorder):
    inputs = fleet.one(":LoadBalancer").inputs
    assert inputs["dropInvalidHeaderFields"] is True
    assert inputs["desyncMitigationMode"] == "strictest"
    assert 60 < inputs["idleTimeout"] < 75, "more than a server's request limit, less than Nginx's keepalive"


def test_without_a_zone_the_balancer_serves_http(fleet: Recorder):
    (listener,) = fleet.of_type(":Listener")
    assert listener.inputs["defaultActions"][0]["type"] == "forward"


def test_with_a_zone_http_is_redirected_to_https(tmp_path: Path):
    stack = build_stack(tmp_path, **BALANCED, **SITE)
    listeners = {int(listener.inputs["port"]): listener.inputs for listener in stack.of_type(":Listener")}
    assert listeners[80]["defaultActions"][0]["redirect"]["protocol"] == "HTTPS"
    assert listeners[443]["sslPolicy"] == balancer.TLS_POLICY
    assert listeners[443]["defaultActions"][0]["type"] == "forward"
    assert stack.output["url"] == "https://shop.example.org/"


def test_each_name_of_the_certificate_is_validated_by_its_own_record(tmp_path: Path):
    stack = build_stack(tmp_path, **BALANCED, **SITE)
    records = {record.name: record.inputs for record in stack.of_type(":Record") if record.name.endswith("-proof")}
    # The mocks return the names in another order than the certificate has them.
    for name in ("shop.example.org", "www.shop.example.org"):
        inputs = records[f"{name}-proof"]
        assert (inputs["name"], inputs["records"], inputs["type"]) == (f"_p.{name}", [f"v.{name}"], "CNAME")


def test_the_domain_and_www_are_aliases_of_the_balancer(tmp_path: Path):
    stack = build_stack(tmp_path, **BALANCED, **SITE)
    aliases = [record.inputs for record in stack.of_type(":Record") if "aliases" in record.inputs]
    assert {alias["name"] for alias in aliases} == {"shop.example.org", "www.shop.example.org"}
    assert {alias["aliases"][0]["name"] for alias in aliases} == {"lb.example.net"}


def test_dns_records_wait_for_healthy_servers_and_are_the_same_resources_as_those_of_an_address(tmp_path: Path):
    fleet = build_stack(tmp_path, **BALANCED, **SITE)
    single = build_stack(tmp_path, **AWS, **SITE)
    for name in ("shop.example.org", "www.shop.example.org"):
        record = fleet.one(":Record", name)
        for number in (0, 1):
            assert f"command:remote:Command::prod-{number}-joined" in record.dependencies
        assert record.request.parent == single.one(":Record", name).request.parent
        assert single.one(":Record", name).waits_for(":EipAssociation")


def test_long_stack_names_are_shortened_to_the_limits_of_aws(tmp_path: Path):
    stack = build_stack(tmp_path, stack="production_europe_and_everything.else", **BALANCED, access_logs=True)
    for resource in (stack.one(":LoadBalancer"), stack.one(":TargetGroup")):
        assert len(resource.name) + len("-0a1b2c3") <= 32
    assert len(stack.one(":Bucket").name) + len("-0a1b2c3") <= 63


@pytest.mark.parametrize("name", ["internal", "internal-shop", "sg-shop"])
def test_no_name_of_a_balancer_or_a_group_has_a_prefix_that_aws_reserves(name: str, tmp_path: Path):
    stack = build_stack(tmp_path, stack=name, **BALANCED)
    assert not stack.one(":LoadBalancer").name.startswith("internal-")
    assert not [group.name for group in stack.of_type(":SecurityGroup") if group.name.startswith("sg-")]


def test_protect_keeps_the_balancer_and_its_logs(tmp_path: Path):
    stack = build_stack(tmp_path, **BALANCED, protect=True, access_logs=True)
    protected = [resource for resource in stack.registrations if resource.request.protect]
    assert {resource.type.rpartition(":")[2] for resource in protected} == {"LoadBalancer", "Bucket"}
    assert stack.one(":LoadBalancer").inputs["enableDeletionProtection"] is True
    assert stack.one(":Bucket").inputs["forceDestroy"] is False
    # The bucket keeps its policies, so it stays private.
    assert {resource.type for resource in stack.registrations if resource.request.retainOnDelete} == {
        resource.type for resource in stack.registrations if ":s3/" in resource.type
    }


def test_access_logs_go_to_a_private_encrypted_bucket(tmp_path: Path):
    stack = build_stack(tmp_path, **BALANCED, access_logs=True)
    public_access = stack.one(":BucketPublicAccessBlock").inputs
    assert all(public_access[key] is True for key in public_access if key != "bucket")
    assert len(public_access) == 5
    assert stack.one(":LoadBalancer").inputs["accessLogs"]["enabled"] is True
    rule = stack.one(":BucketServerSideEncryptionConfiguration").inputs["rules"][0]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}


def test_the_bucket_admits_the_logs_before_the_balancer_writes_them(tmp_path: Path):
    stack = build_stack(tmp_path, **BALANCED, access_logs=True)
    assert stack.one(":BucketLifecycleConfiguration").waits_for(":BucketPolicy")
    assert stack.one(":LoadBalancer").waits_for(":BucketLifecycleConfiguration")


def test_without_access_logs_there_is_no_bucket_and_logging_is_turned_off(fleet: Recorder):
    assert not [resource.name for resource in fleet.registrations if resource.type.startswith("aws:s3/")]
    assert fleet.one(":LoadBalancer").inputs["accessLogs"] == {"bucket": "", "enabled": False}


def test_only_load_balancers_may_write_logs():
    statements = json.loads(logs.policy("arn:logs"))["Statement"]
    assert [statement for statement in statements if statement["Effect"] == "Allow"] == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": "arn:logs/AWSLogs/*",
        }
    ]


def test_servers_behind_a_balancer_have_no_elastic_ip(fleet: Recorder):
    assert not fleet.of_type(":Eip") + fleet.of_type(":EipAssociation")
    for number in (0, 1):
        address = fleet.output["servers"][number]["address"]
        assert fleet.one(":Command", f"prod-{number}-ready").inputs["connection"]["value"]["host"] == address
