"""The simulated AWS: which differences between two inputs are a change, and what a check adds and refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clouds.aws import TYPE_MODULES, SimulatedAws
from tests.clouds.aws_vpc import TOKENS
from tests.clouds.engine_client import EngineClient, connect_engine
from tests.clouds.provider import META
from tests.clouds.resource_schema import DEFAULTS, ResourceSchema
from tools.offline.command_plugin.values import UNKNOWN

Inputs = dict[str, Any]
SCHEMAS: dict[str, ResourceSchema] = {type_.__name__: type_.schema for module in TYPE_MODULES for type_ in module.TYPES}
ARN = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/it/1"
ALLOW: Inputs = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*"}
ALLOW_SPELLED_OTHERWISE: Inputs = {"Resource": ["*"], "Action": ["s3:PutObject", "s3:GetObject"], "Effect": "Allow"}
RECORD: Inputs = {"zoneId": "Z1", "name": "a.test", "type": "A"}
ROUTE: Inputs = {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}
RULE: Inputs = {"securityGroupId": "sg-1", "ipProtocol": "tcp"}


@pytest.mark.parametrize(
    ("type_name", "old", "new"),
    [
        ("Instance", {"metadataOptions": {"httpTokens": "required"}}, {}),
        ("Instance", {"metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required"}},
         {"metadataOptions": {}}),
        ("Instance", {"rootBlockDevice": {"encrypted": True}}, {}),
        ("Instance", {"rootBlockDevice": {"encrypted": True, "volumeSize": 16}},
         {"rootBlockDevice": {"encrypted": True}}),
        ("Instance", {"rootBlockDevice": {"encrypted": True, "volumeSize": 16}},
         {"rootBlockDevice": {"volumeSize": 16}}),
        ("Instance", {"keyName": "k", "iamInstanceProfile": "p", "subnetId": "s", "vpcSecurityGroupIds": ["g"]}, {}),
        ("Eip", {"domain": "vpc"}, {}),
        ("TargetGroup", {"healthCheck": {"interval": 5, "matcher": "200"}}, {}),
        ("TargetGroup", {"healthCheck": {"path": "/", "matcher": "200", "timeout": 2}}, {"healthCheck": {}}),
        ("Listener", {"sslPolicy": "ELBSecurityPolicy-2016-08", "protocol": "HTTPS"}, {}),
        ("LoadBalancer", {"internal": False, "securityGroups": ["g"]}, {}),
        ("Subnet", {"availabilityZone": "eu-central-1a", "cidrBlock": "10.0.0.0/24"}, {}),
        ("Vpc", {"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True}, {}),
        ("InternetGateway", {"vpcId": "vpc-1"}, {}),
        ("Volume", {"encrypted": True, "type": "gp3", "size": 8, "kmsKeyId": ARN, "snapshotId": "snap-1"}, {}),
        ("Certificate", {"subjectAlternativeNames": ["a.test"], "validationMethod": "DNS"}, {}),
        ("Record", {"allowOverwrite": True}, {}),
    ],
)  # fmt: skip
def test_a_value_that_aws_chooses_where_there_is_none_stays_when_the_program_takes_it_away(
    type_name: str, old: Inputs, new: Inputs
):
    assert SCHEMAS[type_name].diff(old, new) == ([], [])


@pytest.mark.parametrize(
    ("type_name", "old", "new", "changed"),
    [
        ("LoadBalancer", {"subnets": ["a", "b"], "idleTimeout": 65}, {"subnets": ["a", "b"]}, "idleTimeout"),
        ("LoadBalancer", {"subnets": ["a", "b"], "enableDeletionProtection": True}, {"subnets": ["a", "b"]},
         "enableDeletionProtection"),
        ("TargetGroup", {"healthCheck": {"interval": 5}}, {"healthCheck": {}}, "healthCheck"),
        ("TargetGroup", {"deregistrationDelay": 30}, {}, "deregistrationDelay"),
        ("Subnet", {"vpcId": "v", "mapPublicIpOnLaunch": True}, {"vpcId": "v"}, "mapPublicIpOnLaunch"),
    ],
)  # fmt: skip
def test_the_providers_default_returns_when_the_program_takes_another_value_away(
    type_name: str, old: Inputs, new: Inputs, changed: str
):
    old, new = ({**checked(type_name, inputs), "name": "it"} for inputs in (old, new))
    assert SCHEMAS[type_name].diff(old, new) == ([changed], [])


@pytest.mark.parametrize(
    ("type_name", "old", "new"),
    [
        ("LoadBalancer", {"subnets": ["a", "b"], "securityGroups": ["c", "d"]},
         {"subnets": ["b", "a"], "securityGroups": ["d", "c"]}),
        ("Instance", {"vpcSecurityGroupIds": ["a", "b"]}, {"vpcSecurityGroupIds": ["b", "a"]}),
        ("Certificate", {"subjectAlternativeNames": ["a", "b"]}, {"subjectAlternativeNames": ["b", "a"]}),
        ("CertificateValidation", {"validationRecordFqdns": ["a", "b"]}, {"validationRecordFqdns": ["b", "a"]}),
        ("Record", {"records": ["192.0.2.1", "192.0.2.2"]}, {"records": ["192.0.2.2", "192.0.2.1"]}),
        ("Record", {"name": "a.test"}, {"name": "A.test."}),
        ("Record", {"aliases": [{"name": "LB.test"}]}, {"aliases": [{"name": "dualstack.lb.test."}]}),
        ("KeyPair", {"publicKey": "ssh-ed25519 AAAA"}, {"publicKey": "ssh-ed25519 AAAA\n"}),
        ("Role", {"assumeRolePolicy": json.dumps({"Statement": [ALLOW]})},
         {"assumeRolePolicy": json.dumps({"Statement": ALLOW_SPELLED_OTHERWISE}, indent=2)}),
        ("RolePolicy", {"policy": json.dumps(ALLOW)}, {"policy": json.dumps(ALLOW_SPELLED_OTHERWISE)}),
        ("BucketPolicy", {"policy": json.dumps(ALLOW)}, {"policy": json.dumps(ALLOW_SPELLED_OTHERWISE)}),
        ("SecurityGroupIngressRule", {"ipProtocol": "tcp"}, {"ipProtocol": "6"}),
    ],
)  # fmt: skip
def test_another_order_or_spelling_is_no_change(type_name: str, old: Inputs, new: Inputs):
    assert SCHEMAS[type_name].diff(old, new) == ([], [])


def test_another_action_of_a_policy_is_a_change():
    old, new = ({"policy": json.dumps({**ALLOW, "Action": action})} for action in ("s3:GetObject", "s3:PutObject"))
    assert SCHEMAS["RolePolicy"].diff({**old}, {**new}) == (["policy"], [])


def test_another_encryption_of_the_root_volume_replaces_an_instance_and_another_size_does_not():
    old: Inputs = {"rootBlockDevice": {"encrypted": True, "volumeSize": 8}}
    assert SCHEMAS["Instance"].diff(old, {"rootBlockDevice": {"encrypted": False, "volumeSize": 8}}) == (
        ["rootBlockDevice"],
        ["rootBlockDevice"],
    )
    assert SCHEMAS["Instance"].diff(old, {"rootBlockDevice": {"encrypted": True, "volumeSize": 9}}) == (
        ["rootBlockDevice"],
        [],
    )


def test_a_policy_attachment_is_deleted_before_its_replacement_is_created():
    schema, names = SCHEMAS["RolePolicyAttachment"], ("arn:aws:iam::aws:policy/A", "arn:aws:iam::aws:policy/B")
    old, new = ({"role": "r", "policyArn": name} for name in names)
    assert schema.diff({**old}, {**new}) == (["policyArn"], ["policyArn"])
    assert schema.deletes_before_replace({**new})


@pytest.mark.parametrize(
    ("type_name", "inputs", "path", "reason"),
    [
        ("SecurityGroupIngressRule", {**RULE, "cidrIpv4": "10.0.0.0/8", "fromPort": 70000}, "fromPort", "-1 to 65535"),
        ("SecurityGroupIngressRule", {**RULE, "cidrIpv4": "10.0.0.1/8"}, "cidrIpv4", "host bits"),
        ("SecurityGroupEgressRule", {**RULE, "cidrIpv6": "fd00::1/8"}, "cidrIpv6", "host bits"),
        ("SecurityGroupEgressRule", RULE, "", "got none"),
        ("SecurityGroupIngressRule", {**RULE, "cidrIpv4": UNKNOWN, "prefixListId": "pl-1"}, "", "exactly one of"),
        ("Route", {**ROUTE, "destinationCidrBlock": "10.0.0.1/8"}, "destinationCidrBlock", "host bits"),
        ("Route", {**ROUTE, "destinationCidrBlock": "10.0.0.0/255.0.0.0"}, "destinationCidrBlock", "prefix length"),
        ("RouteTableAssociation", {"routeTableId": "r"}, "", "exactly one of subnetId"),
        ("Route", {"routeTableId": "r", "gatewayId": "g"}, "", "exactly one of destinationCidrBlock"),
        ("Route", {"routeTableId": "r", "destinationCidrBlock": "10.0.0.0/8"}, "", "exactly one of gatewayId"),
        ("Vpc", {"cidrBlock": "10.0.0.0/8"}, "cidrBlock", "prefix length"),
        ("Subnet", {"vpcId": "v", "cidrBlock": "10.0.0.1/24"}, "cidrBlock", "host bits"),
        ("Eip", {"domain": "vpn"}, "domain", "one of vpc"),
        ("Instance", {"ami": "a", "instanceType": "t", "metadataOptions": {"httpTokens": "yes"}},
         "metadataOptions.httpTokens", "optional, required"),
        ("Instance", {"ami": "a", "instanceType": "t", "metadataOptions": {"httpPutResponseHopLimit": 65}},
         "metadataOptions.httpPutResponseHopLimit", "1 to 64"),
        ("Instance", {"ami": "a", "instanceType": "t", "rootBlockDevice": {"volumeType": "ssd"}},
         "rootBlockDevice.volumeType", "gp3"),
        ("Instance", {"ami": "a", "instanceType": "t", "userData": "x" * 17_000}, "userData", "at most 16384"),
        ("LoadBalancer", {}, "", "exactly one of subnets"),
        ("LoadBalancer", {"subnets": ["a"], "desyncMitigationMode": "lax"}, "desyncMitigationMode", "strictest"),
        ("TargetGroup", {"healthCheck": {"healthyThreshold": 1}}, "healthCheck.healthyThreshold", "2 to 10"),
        ("TargetGroup", {"healthCheck": {"interval": 1}}, "healthCheck.interval", "5 to 300"),
        ("TargetGroup", {"healthCheck": {"path": "healthz"}}, "healthCheck.path", "doesn't match"),
        ("TargetGroup", {"healthCheck": {"port": "65536"}}, "healthCheck.port", "doesn't match"),
        ("TargetGroup", {"deregistrationDelay": 3601}, "deregistrationDelay", "0 to 3600"),
        ("Listener", {"loadBalancerArn": "it", "defaultActions": []}, "loadBalancerArn", "not an ARN"),
        ("Listener", {"loadBalancerArn": ARN, "defaultActions": [{"type": "forward"}]}, "defaultActions", "required"),
        ("Listener", {"loadBalancerArn": ARN, "defaultActions": [{"type": "redirect", "targetGroupArn": ARN}]},
         "defaultActions", "redirect is required"),
        ("Listener", {"loadBalancerArn": ARN, "defaultActions": [{"type": "send"}]}, "defaultActions.type", "forward"),
        ("Listener", {"loadBalancerArn": ARN, "defaultActions": [
            {"type": "redirect", "redirect": {"statusCode": "301"}}]},
         "defaultActions.redirect.statusCode", "HTTP_301"),
        ("Role", {"assumeRolePolicy": "{"}, "assumeRolePolicy", "invalid JSON"),
        ("RolePolicy", {"role": "r", "policy": "[]"}, "policy", "not an object"),
        ("RolePolicyAttachment", {"role": "r", "policyArn": "ReadOnlyAccess"}, "policyArn", "not an ARN"),
        ("BucketPolicy", {"bucket": "b", "policy": ""}, "policy", "invalid JSON"),
        ("Volume", {"availabilityZone": "z"}, "", "one of size, snapshotId"),
        ("Certificate", {"domainName": "a.test."}, "domainName", "doesn't match"),
        ("Certificate", {"domainName": "a.test", "subjectAlternativeNames": [UNKNOWN, "b.test."]},
         "subjectAlternativeNames", "doesn't match"),
        ("Record", {**RECORD, "records": ["192.0.2.1"], "type": "ADDRESS"}, "type", "AAAA"),
        ("Record", {**RECORD, "aliases": [{"name": "b", "zoneId": "z", "evaluateTargetHealth": False}], "ttl": 60},
         "", "conflicts with ttl"),
    ],
)  # fmt: skip
def test_a_check_refuses_what_the_provider_refuses(type_name: str, inputs: Inputs, path: str, reason: str):
    _, mistakes = SCHEMAS[type_name].check("it", {}, inputs)
    assert [mistake.property for mistake in mistakes] == [path]
    assert reason in mistakes[0].reason


def test_a_check_adds_the_providers_default_tags_and_the_defaults(aws_engine: EngineClient):
    aws_engine.configure(region="eu-central-1", defaultTags=json.dumps({"tags": {"Stack": "prod", "Name": "none"}}))
    inputs = aws_engine.check(TOKENS["SecurityGroup"], "it", {"vpcId": "vpc-1", "tags": {"Name": "web"}})
    assert (inputs["tags"], inputs["tagsAll"]) == ({"Name": "web"}, {"Stack": "prod", "Name": "web"})
    assert (inputs["description"], inputs[DEFAULTS]) == ("Managed by Pulumi", ["description", "name"])
    assert aws_engine.check(TOKENS["Vpc"], "it", {"tags": UNKNOWN})["tagsAll"] == UNKNOWN
    route = aws_engine.check(TOKENS["Route"], "it", ROUTE)
    assert "tagsAll" not in route, "a route has no tags"


def test_each_of_two_providers_adds_its_own_default_tags(aws: SimulatedAws, aws_engine: EngineClient):
    with connect_engine(aws) as other_engine:
        for engine, owner in ((aws_engine, "stack"), (other_engine, "program")):
            engine.configure(region="eu-central-1", defaultTags=json.dumps({"tags": {"Owner": owner}}))
        for engine, owner in ((aws_engine, "stack"), (other_engine, "program")):
            _, outputs = engine.create(TOKENS["Vpc"], cidrBlock="10.60.0.0/16")
            assert outputs["tagsAll"] == {"Owner": owner}


def test_inputs_of_an_earlier_double_without_all_tags_are_compared_with_the_outputs(aws_engine: EngineClient):
    aws_engine.configure(region="eu-central-1")
    inputs = aws_engine.check(TOKENS["Vpc"], "it", {"cidrBlock": "10.60.0.0/16", "tags": {"Name": "web"}})
    earlier = {key: value for key, value in inputs.items() if key != "tagsAll"}
    for all_tags, changes in (({"Name": "web"}, []), ({}, ["tagsAll"])):
        state = {**earlier, "tagsAll": all_tags, META: json.dumps({"schema_version": "1"})}
        assert list(aws_engine.diff(TOKENS["Vpc"], earlier, inputs, state=state).diffs) == changes


def test_a_routes_id_has_its_table_and_a_checksum_of_its_destination(aws_engine: EngineClient):
    vpc, _ = aws_engine.create(TOKENS["Vpc"], cidrBlock="10.60.0.0/16")
    table, _ = aws_engine.create(TOKENS["RouteTable"], vpcId=vpc)
    gateway, _ = aws_engine.create(TOKENS["InternetGateway"], vpcId=vpc)
    id, _ = aws_engine.create(TOKENS["Route"], routeTableId=table, destinationCidrBlock="0.0.0.0/0", gatewayId=gateway)
    assert id == f"r-{table}1080289494"
    assert (aws_engine.read(TOKENS["Route"], id) or {})["gatewayId"] == gateway
    aws_engine.delete(TOKENS["Route"], id)
    assert aws_engine.read(TOKENS["Route"], id) is None


def checked(type_name: str, inputs: Inputs) -> Inputs:
    completed, mistakes = SCHEMAS[type_name].check("it", {}, inputs)
    assert not mistakes
    return completed
