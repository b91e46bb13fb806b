"""The simulated AWS: load balancers. No machine boots."""

from __future__ import annotations

import pytest

from tests.clouds.aws_vpc import TOKENS, PublicVpc
from tests.clouds.engine_client import EngineClient, ProviderError
from tools.offline.command_plugin.values import Properties

LOAD_BALANCER = TOKENS["LoadBalancer"]


def test_a_balancer_in_a_single_zone_is_refused_and_a_protected_one_cannot_be_deleted(aws_engine: EngineClient):
    vpc = PublicVpc(aws_engine)
    with pytest.raises(ProviderError, match="two Availability Zones"):
        aws_engine.create(LOAD_BALANCER, subnets=vpc.subnets[:1])
    id, _ = aws_engine.create(LOAD_BALANCER, subnets=vpc.subnets, enableDeletionProtection=True)
    with pytest.raises(ProviderError, match="deletion protection"):
        aws_engine.delete(LOAD_BALANCER, id)


def test_access_logs_stay_on_when_the_program_leaves_them_out_and_need_a_bucket_with_write_permission(
    aws_engine: EngineClient,
):
    logs_on: Properties = {"accessLogs": {"bucket": "logs", "enabled": True}}
    with pytest.raises(ProviderError, match="Access Denied for bucket: logs"):
        aws_engine.create(LOAD_BALANCER, subnets=PublicVpc(aws_engine).subnets, accessLogs=logs_on["accessLogs"])
    assert list(aws_engine.diff(LOAD_BALANCER, logs_on, {}).diffs) == []
    logs_off: Properties = {"accessLogs": {"bucket": "", "enabled": False}}
    assert list(aws_engine.diff(LOAD_BALANCER, logs_on, logs_off).diffs) == ["accessLogs"]
