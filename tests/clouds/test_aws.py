"""The simulated AWS: inputs, instances, addresses and look-ups. No machine boots."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clouds.aws import SimulatedAws
from tests.clouds.aws_vpc import TOKENS, PublicVpc, create_instance, topology
from tests.clouds.engine_client import EngineClient, ProviderError
from tools.offline.command_plugin.values import Properties


def test_another_region_is_refused(aws_engine: EngineClient):
    with pytest.raises(ProviderError, match="region is None"):
        aws_engine.configure()
    aws_engine.configure(region="eu-central-1")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"subnetId": "subnet-0123"}, "InvalidSubnetID.NotFound"),
        ({"vpcSecurityGroupIds": ["sg-0123"]}, "InvalidGroup.NotFound|does not exist"),
        ({"keyName": "nobody's"}, "InvalidKeyPair.NotFound"),
        ({"ami": "ami-0123"}, "InvalidAMIID"),
        ({"instanceType": "t3.colossal"}, "InvalidInstanceType"),
        ({"instanceType": "t4g.small"}, "architecture"),
        ({"iamInstanceProfile": "nobody's"}, "NoSuchEntity"),
    ],
)
def test_an_instance_with_a_reference_to_something_missing_or_with_a_bad_value_is_refused(
    aws_engine: EngineClient, inputs: dict[str, Any], message: str
):
    with pytest.raises(ProviderError, match=message):
        create_instance(aws_engine, PublicVpc(aws_engine), **inputs)


@pytest.mark.parametrize(
    ("type_name", "inputs", "message"),
    [
        ("LoadBalancer", {"name": "x" * 33, "subnets": ["a", "b"]}, "takes 32"),
        ("TargetGroup", {"name": "under_score"}, "doesn't match"),
        ("Instance", {"instanceType": "t3.small"}, "missing required property 'ami'"),
        ("Instance", {"ami": "a", "instanceType": "t", "metadataOptions": {"token": "x"}}, "unrecognized property"),
    ],
)
def test_the_preview_already_refuses_inputs_that_the_provider_does_not_accept(
    aws_engine: EngineClient, type_name: str, inputs: dict[str, Any], message: str
):
    with pytest.raises(ProviderError, match=message):
        aws_engine.check(TOKENS[type_name], "it", inputs)


def test_a_name_that_is_too_long_with_its_random_digits_is_refused(aws_engine: EngineClient):
    inputs: Properties = {"subnets": ["subnet-a", "subnet-b"]}
    assert len(str(aws_engine.check(TOKENS["LoadBalancer"], "a" * 24, inputs)["name"])) == 32
    with pytest.raises(ProviderError, match="takes 32"):
        aws_engine.check(TOKENS["LoadBalancer"], "a" * 25, inputs)


def test_new_user_data_replaces_an_instance_only_if_the_program_asks_for_it(aws_engine: EngineClient):
    olds: Properties = {"ami": "a", "instanceType": "t", "userData": "old"}
    news: Properties = {**olds, "userData": "new"}
    assert list(aws_engine.diff(TOKENS["Instance"], olds, news).replaces) == []
    flag: Properties = {"userDataReplaceOnChange": True}
    assert list(aws_engine.diff(TOKENS["Instance"], {**olds, **flag}, {**news, **flag}).replaces) == ["userData"]


def test_an_elastic_ip_replaces_the_instances_own_address_and_can_move(aws: SimulatedAws, aws_engine: EngineClient):
    vpc = PublicVpc(aws_engine)
    (old, old_outputs), (new, _) = create_instance(aws_engine, vpc), create_instance(aws_engine, vpc)
    elastic_ip, address = aws_engine.create(TOKENS["Eip"], domain="vpc")
    aws_engine.create(TOKENS["EipAssociation"], instanceId=old, allocationId=elastic_ip)
    outputs = aws_engine.read(TOKENS["Instance"], old)
    assert outputs and outputs["publicIp"] == address["publicIp"] != old_outputs["publicIp"]
    aws_engine.create(TOKENS["EipAssociation"], instanceId=new, allocationId=elastic_ip, allowReassociation=True)
    has_address = {server.id: address["publicIp"] in server.public_addresses for server in topology(aws).servers}
    assert has_address == {old: False, new: True}


def test_a_changed_address_is_read_and_leads_to_the_server(aws: SimulatedAws, aws_engine: EngineClient):
    id, old_outputs = create_instance(aws_engine, PublicVpc(aws_engine))
    aws.auto_assigned_addresses[id] = aws.new_public_address()  # as after a stop and a start
    aws.apply_topology()
    outputs = aws_engine.read(TOKENS["Instance"], id)
    assert outputs
    assert outputs["publicIp"] != old_outputs["publicIp"]
    assert topology(aws).servers[0].public_addresses == (outputs["publicIp"],)


def test_a_subnet_without_a_route_to_the_internet_has_no_public_addresses(aws: SimulatedAws, aws_engine: EngineClient):
    create_instance(aws_engine, PublicVpc(aws_engine))
    assert topology(aws).servers[0].public_addresses
    ec2 = aws.client("ec2")
    [table] = [table for table in ec2.describe_route_tables()["RouteTables"] if len(table["Routes"]) > 1]
    ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    aws.apply_topology()
    assert topology(aws).servers[0].public_addresses == ()


def test_a_changed_resource_is_read_with_its_changes_and_a_deleted_one_is_not_found(
    aws: SimulatedAws, aws_engine: EngineClient
):
    vpc = PublicVpc(aws_engine)
    id, _ = aws_engine.create(TOKENS["LoadBalancer"], subnets=vpc.subnets, idleTimeout=65)
    attributes = [{"Key": "idle_timeout.timeout_seconds", "Value": "10"}]
    aws.client("elbv2").modify_load_balancer_attributes(LoadBalancerArn=id, Attributes=attributes)
    outputs = aws_engine.read(TOKENS["LoadBalancer"], id, {"idleTimeout": 65.0})
    assert outputs and outputs["idleTimeout"] == 10
    instance, _ = create_instance(aws_engine, vpc)
    aws.client("ec2").terminate_instances(InstanceIds=[instance])
    assert aws_engine.read(TOKENS["Instance"], instance) is None


def test_a_lost_reply_leaves_an_instance_and_missing_capacity_leaves_none(aws: SimulatedAws, aws_engine: EngineClient):
    vpc = PublicVpc(aws_engine)
    aws.faults.types_without_capacity = {"Instance"}
    with pytest.raises(ProviderError, match="InsufficientInstanceCapacity"):
        create_instance(aws_engine, vpc)
    aws.faults.types_without_capacity, aws.faults.lost_replies = set(), ["Instance"]
    with pytest.raises(ProviderError, match="connection reset"):
        create_instance(aws_engine, vpc)
    assert len(topology(aws).servers) == 1


def test_tagged_resources_are_listed_by_their_arn_and_the_others_where_they_belong(
    aws: SimulatedAws, aws_engine: EngineClient
):
    vpc, tags = PublicVpc(aws_engine), {"Stack": "prod"}
    instance, _ = create_instance(aws_engine, vpc, tags=tags)
    address, _ = aws_engine.create(TOKENS["Eip"], domain="vpc", tags=tags)
    rule, _ = aws_engine.create(
        TOKENS["SecurityGroupEgressRule"],
        securityGroupId=vpc.group,
        ipProtocol="-1",
        cidrIpv4="0.0.0.0/0",
        tags=tags,
    )
    aws_engine.create(TOKENS["Eip"], domain="vpc", tags={"Stack": "other"})
    assert ids_with_stack_tag(aws_engine) == {instance, address, rule}
    aws_engine.delete(TOKENS["Eip"], address)
    assert aws_engine.read(TOKENS["Eip"], address) is None
    assert ids_with_stack_tag(aws_engine) == {instance, address, rule}, "AWS lists a deleted resource for hours"
    ids = {table["RouteTableId"] for table in aws.client("ec2").describe_route_tables()["RouteTables"]}
    tables = [aws_engine.invoke("aws:ec2/getRouteTable:getRouteTable", routeTableId=id) for id in ids]
    associations = [association for table in tables for association in table["associations"]]
    assert set(vpc.subnets) <= {association["subnetId"] for association in associations}


def ids_with_stack_tag(engine: EngineClient) -> set[str]:
    """The ids that the tagging API lists for the stack."""
    filters = [{"key": "Stack", "values": ["prod"]}]
    resources = engine.invoke("aws:resourcegroupstaggingapi/getResources:getResources", tagFilters=filters)
    return {mapping["resourceArn"].rpartition("/")[2] for mapping in resources["resourceTagMappingLists"]}


def test_a_look_up_refuses_an_argument_that_it_does_not_know(aws_engine: EngineClient):
    with pytest.raises(ProviderError, match="doesn't know the arguments resourceTypeFilters"):
        aws_engine.invoke("aws:resourcegroupstaggingapi/getResources:getResources", resourceTypeFilters=["ec2"])
