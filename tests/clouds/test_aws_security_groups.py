"""The simulated AWS: security groups and their rules. No machine boots."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clouds import manual_changes
from tests.clouds.aws import SimulatedAws
from tests.clouds.aws_vpc import TOKENS, PublicVpc, create_instance, topology
from tests.clouds.engine_client import EngineClient, ProviderError
from tests.clouds.infrastructure import Rule

INGRESS_RULE = TOKENS["SecurityGroupIngressRule"]


def test_a_new_security_group_admits_nothing_in_either_direction(aws: SimulatedAws, aws_engine: EngineClient):
    create_instance(aws_engine, PublicVpc(aws_engine))
    [server] = topology(aws).servers
    assert (server.inbound, server.outbound) == ((), ())


def test_a_rule_for_a_group_admits_the_addresses_of_its_members_and_balancers(
    aws: SimulatedAws, aws_engine: EngineClient
):
    vpc = PublicVpc(aws_engine)
    balancer_group, _ = aws_engine.create(TOKENS["SecurityGroup"], "balancer", vpcId=vpc.vpc)
    _, outputs = aws_engine.create(
        TOKENS["LoadBalancer"],
        loadBalancerType="application",
        subnets=vpc.subnets,
        securityGroups=[balancer_group],
    )
    aws_engine.create(
        INGRESS_RULE,
        securityGroupId=vpc.group,
        ipProtocol="tcp",
        fromPort=80,
        toPort=80,
        referencedSecurityGroupId=balancer_group,
    )
    create_instance(aws_engine, vpc)
    [server], [balancer] = topology(aws).servers, topology(aws).balancers
    assert server.inbound == (Rule(low_port=80, high_port=80, peers=balancer.node_addresses),)
    assert [address.rpartition(".")[0] for address in balancer.node_addresses] == ["10.60.0", "10.60.1"]
    assert outputs["dnsName"].endswith(".elb.amazonaws.com")


def test_a_rule_gets_another_peer_in_place_and_is_replaced_where_that_is_of_another_kind(aws_engine: EngineClient):
    group = PublicVpc(aws_engine).group
    rule: dict[str, Any] = {"securityGroupId": group, "ipProtocol": "tcp", "fromPort": 22, "toPort": 22}
    network: dict[str, Any] = {**rule, "cidrIpv4": "10.0.0.0/8"}
    same_kind = aws_engine.diff(INGRESS_RULE, network, {**rule, "cidrIpv4": "172.16.0.0/12"})
    assert (list(same_kind.diffs), list(same_kind.replaces)) == (["cidrIpv4"], [])
    aws_engine.create(INGRESS_RULE, **network)
    for peer, value in {"cidrIpv6": "fd00::/8", "prefixListId": "pl-1", "referencedSecurityGroupId": group}.items():
        other_kind = aws_engine.diff(INGRESS_RULE, network, {**rule, peer: value})
        assert list(other_kind.replaces) == list(other_kind.diffs) == ["cidrIpv4", peer]
        assert not other_kind.deleteBeforeReplace
    # The new rule isn't the same as the old one, so both can exist.
    aws_engine.create(INGRESS_RULE, **rule, cidrIpv6="fd00::/8")
    aws_engine.create(INGRESS_RULE, **rule, referencedSecurityGroupId=group)
    with pytest.raises(ProviderError, match=r"InvalidPermission\.Duplicate"):
        aws_engine.create(INGRESS_RULE, **network)


def test_a_rule_with_two_sources_or_without_a_source_is_refused(aws_engine: EngineClient):
    group = PublicVpc(aws_engine).group
    inputs = {"securityGroupId": group, "ipProtocol": "tcp", "fromPort": 22, "toPort": 22}
    for sources in ({}, {"cidrIpv4": "10.0.0.0/8", "cidrIpv6": "::/0"}):
        with pytest.raises(ProviderError, match="exactly one"):
            aws_engine.check(INGRESS_RULE, "it", {**inputs, **sources})


def test_a_security_group_in_use_cannot_be_deleted(aws_engine: EngineClient):
    vpc = PublicVpc(aws_engine)
    create_instance(aws_engine, vpc)
    with pytest.raises(ProviderError, match="DependencyViolation"):
        aws_engine.delete(TOKENS["SecurityGroup"], vpc.group)


def test_manual_changes_of_a_rule_and_of_health_checks_are_read_and_an_update_reverts_them(
    aws: SimulatedAws, aws_engine: EngineClient
):
    vpc = PublicVpc(aws_engine)
    rule: dict[str, Any] = {"securityGroupId": vpc.group, "ipProtocol": "tcp", "fromPort": 22, "toPort": 22}
    rule["cidrIpv4"] = "198.51.100.7/32"
    group: dict[str, Any] = aws_engine.check(
        TOKENS["TargetGroup"],
        "it",
        {"name": "it", "port": 80, "protocol": "HTTP", "vpcId": vpc.vpc, "healthCheck": {"interval": 5}},
    )
    rule_id, _ = aws_engine.create(INGRESS_RULE, **rule)
    group_id, _ = aws_engine.create(TOKENS["TargetGroup"], **group)
    manual_changes.open_ssh_to_everybody(aws)
    manual_changes.slow_down_health_checks(aws)
    for token, id, inputs, changes in (
        (INGRESS_RULE, rule_id, rule, {"cidrIpv4": "0.0.0.0/0"}),
        (TOKENS["TargetGroup"], group_id, group, {"healthCheck": {**group["healthCheck"], "interval": 300}}),
    ):
        [key] = changes
        outputs = aws_engine.read(token, id, inputs)
        assert outputs
        assert outputs[key] == changes[key]
        drifted_inputs: dict[str, Any] = {**inputs, **changes}
        aws_engine.update(token, id, olds=drifted_inputs, news=inputs)
        assert (aws_engine.read(token, id, inputs) or {})[key] == inputs[key]


def test_the_rules_of_a_group_are_listed_with_ports_and_peers_and_get_their_tags_by_a_second_call(
    aws: SimulatedAws, aws_engine: EngineClient
):
    group, tags = PublicVpc(aws_engine).group, {"Name": "web"}
    aws.faults.tags_are_lost = True
    admission = {"ipProtocol": "tcp", "fromPort": 80, "toPort": 80, "referencedSecurityGroupId": group}
    inputs: dict[str, Any] = {"securityGroupId": group, **admission, "tags": tags}
    id, _ = aws_engine.create(INGRESS_RULE, **inputs)
    filters = [{"name": "group-id", "values": [group]}]
    assert aws_engine.invoke("aws:vpc/getSecurityGroupRules:getSecurityGroupRules", filters=filters)["ids"] == [id]
    rule = aws_engine.invoke("aws:vpc/getSecurityGroupRule:getSecurityGroupRule", securityGroupRuleId=id)
    assert {key: rule[key] for key in admission} == admission
    assert (rule["isEgress"], rule["cidrIpv4"]) == (False, None)
    assert (aws_engine.read(INGRESS_RULE, id, inputs) or {})["tags"] == {}
    aws.faults.tags_are_lost = False
    aws_engine.update(INGRESS_RULE, id, olds={**inputs, "tags": {}}, news=inputs)
    outputs = aws_engine.read(INGRESS_RULE, id, inputs) or {}
    assert (outputs["tags"], outputs["referencedSecurityGroupId"]) == (tags, group)
