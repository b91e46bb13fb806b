"""The simulated AWS: load balancers. No machine boots."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clouds.aws import SimulatedAws
from tests.clouds.aws_vpc import TOKENS, PublicVpc
from tests.clouds.engine_client import EngineClient, ProviderError
from tests.clouds.simulated_cloud import token_of

LOAD_BALANCER, TARGET_GROUP = TOKENS["LoadBalancer"], TOKENS["TargetGroup"]


def test_a_balancer_in_a_single_zone_is_refused_and_a_protected_one_cannot_be_deleted(aws_engine: EngineClient):
    vpc = PublicVpc(aws_engine)
    with pytest.raises(ProviderError, match="two Availability Zones"):
        aws_engine.create(LOAD_BALANCER, subnets=vpc.subnets[:1])
    id, _ = aws_engine.create(LOAD_BALANCER, subnets=vpc.subnets, enableDeletionProtection=True)
    with pytest.raises(ProviderError, match="deletion protection"):
        aws_engine.delete(LOAD_BALANCER, id)


def test_access_logs_need_a_bucket_with_write_permission_and_end_when_the_program_leaves_them_out(
    aws: SimulatedAws, aws_engine: EngineClient
):
    subnets: list[Any] = PublicVpc(aws_engine).subnets
    without_logs: dict[str, Any] = aws_engine.check(LOAD_BALANCER, "it", {"name": "it", "subnets": subnets})
    with_logs: dict[str, Any] = {**without_logs, "accessLogs": {"bucket": "access-logs", "enabled": True}}
    with pytest.raises(ProviderError, match="Access Denied for bucket: access-logs"):
        aws_engine.create(LOAD_BALANCER, **{**with_logs, "name": "other"})
    aws_engine.create(token_of("aws", "s3", "Bucket"), bucket="access-logs")
    policy = json.dumps({"Statement": [{"Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}}]})
    aws_engine.create(token_of("aws", "s3", "BucketPolicy"), bucket="access-logs", policy=policy)
    id, _ = aws_engine.create(LOAD_BALANCER, **with_logs)
    assert attributes(aws, id)["access_logs.s3.enabled"] == "true"
    assert list(aws_engine.diff(LOAD_BALANCER, with_logs, without_logs).diffs) == ["accessLogs"]
    aws_engine.update(LOAD_BALANCER, id, olds=with_logs, news=without_logs)
    assert attributes(aws, id)["access_logs.s3.enabled"] == "false"


def attributes(aws: SimulatedAws, balancer: str) -> dict[str, str]:
    described = aws.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=balancer)
    return {attribute["Key"]: attribute["Value"] for attribute in described["Attributes"]}


def test_a_drain_delay_is_a_text_in_the_outputs_and_still_no_change(aws_engine: EngineClient):
    inputs: dict[str, Any] = {
        "port": 80,
        "protocol": "HTTP",
        "vpcId": PublicVpc(aws_engine).vpc,
        "deregistrationDelay": 30,
    }
    id, outputs = aws_engine.create(TARGET_GROUP, **inputs)
    assert outputs["deregistrationDelay"] == "30"
    # The refresh writes the text to the inputs, too.
    refreshed: dict[str, Any] = {
        **inputs,
        "deregistrationDelay": (aws_engine.read(TARGET_GROUP, id) or {})["deregistrationDelay"],
    }
    assert list(aws_engine.diff(TARGET_GROUP, refreshed, inputs).diffs) == []
    assert list(aws_engine.diff(TARGET_GROUP, refreshed, {**inputs, "deregistrationDelay": 31}).diffs) == [
        "deregistrationDelay"
    ]
