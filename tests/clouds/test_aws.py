"""What the simulated AWS keeps, answers and refuses. No machine boots here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from command_plugin.values import Properties
from tests.clouds import manual_changes
from tests.clouds.aws import Aws
from tests.clouds.engine_client import Engine, Refused, asked
from tests.clouds.infrastructure import Paper, Rule

TOKENS = {
    name: f"aws:{module}/{name[0].lower()}{name[1:]}:{name}"
    for module, names in {
        "ec2": "Vpc Subnet InternetGateway RouteTable Route RouteTableAssociation SecurityGroup Instance Eip"
        " EipAssociation",
        "vpc": "SecurityGroupIngressRule SecurityGroupEgressRule",
        "lb": "LoadBalancer TargetGroup",
    }.items()
    for name in names.split()
}


@pytest.fixture
def cloud() -> Iterator[Aws]:
    cloud = Aws(Paper())
    cloud.start()
    yield cloud
    cloud.stop()


@pytest.fixture
def engine(cloud: Aws) -> Iterator[Engine]:
    with asked(cloud) as engine:
        yield engine


class Network:
    """A VPC with two public subnets."""

    def __init__(self, engine: Engine) -> None:
        self.vpc, _ = engine.make(TOKENS["Vpc"], cidrBlock="10.60.0.0/16")
        gateway, _ = engine.make(TOKENS["InternetGateway"], vpcId=self.vpc)
        table, _ = engine.make(TOKENS["RouteTable"], vpcId=self.vpc)
        engine.make(TOKENS["Route"], routeTableId=table, destinationCidrBlock="0.0.0.0/0", gatewayId=gateway)
        self.subnets: list[str] = []
        for number, zone in enumerate("ab"):
            subnet, _ = engine.make(
                TOKENS["Subnet"], vpcId=self.vpc, cidrBlock=f"10.60.{number}.0/24",
                availabilityZone=f"eu-central-1{zone}", mapPublicIpOnLaunch=True,
            )  # fmt: skip
            engine.make(TOKENS["RouteTableAssociation"], routeTableId=table, subnetId=subnet)
            self.subnets.append(subnet)
        self.group, _ = engine.make(TOKENS["SecurityGroup"], "servers", vpcId=self.vpc)


def ami(engine: Engine, machine: str = "amd64") -> str:
    filters = [{"name": "name", "values": [f"debian-13-{machine}-20251117-2299"]}]
    return engine.invoke("aws:ec2/getAmi:getAmi", owners=["136693071363"], filters=filters)["id"]


def instance(engine: Engine, network: Network, **changed: Any) -> tuple[str, dict[str, Any]]:
    wanted = {"instanceType": "t3.small", "subnetId": network.subnets[0], "vpcSecurityGroupIds": [network.group]}
    return engine.make(TOKENS["Instance"], **{"ami": ami(engine), **wanted, **changed})


def view(cloud: Aws):
    assert isinstance(cloud.world, Paper)
    return cloud.world.view


def test_another_region_is_refused(engine: Engine):
    with pytest.raises(Refused, match="region is None"):
        engine.configure()
    engine.configure(region="eu-central-1")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"subnetId": "subnet-0123"}, "InvalidSubnetID.NotFound"),
        ({"vpcSecurityGroupIds": ["sg-0123"]}, "InvalidGroup.NotFound|does not exist"),
        ({"keyName": "nobody's"}, "InvalidKeyPair.NotFound"),
        ({"ami": "ami-0123"}, "InvalidAMIID"),
        ({"instanceType": "t3.colossal"}, "InvalidInstanceType"),
        ({"instanceType": "t4g.small"}, "architecture"),
        ({"iamInstanceProfile": "nobody's"}, "NoSuchEntity"),
        ({"userData": "x" * 17_000}, "limited to 16384 bytes"),
    ],
)
def test_an_instance_that_refers_to_what_is_not_there_is_refused(engine: Engine, changed: dict[str, Any], said: str):
    with pytest.raises(Refused, match=said):
        instance(engine, Network(engine), **changed)


@pytest.mark.parametrize(
    ("token", "inputs", "said"),
    [
        ("LoadBalancer", {"name": "x" * 33}, "takes 32"),
        ("TargetGroup", {"name": "under_score"}, "doesn't match"),
        ("Instance", {"instanceType": "t3.small"}, "missing required property 'ami'"),
        ("Instance", {"ami": "a", "instanceType": "t", "metadataOptions": {"token": "x"}}, "unrecognized property"),
    ],
)
def test_inputs_that_the_provider_does_not_know_are_refused_in_the_preview(
    engine: Engine, token: str, inputs: dict[str, Any], said: str
):
    with pytest.raises(Refused, match=said):
        engine.check(TOKENS[token], "it", inputs)


def test_a_name_too_long_with_its_digits_is_refused(engine: Engine):
    assert len(str(engine.check(TOKENS["LoadBalancer"], "a" * 24, {})["name"])) == 32
    with pytest.raises(Refused, match="takes 32"):
        engine.check(TOKENS["LoadBalancer"], "a" * 25, {})


def test_user_data_replaces_only_where_that_is_asked_for(engine: Engine):
    olds: Properties = {"ami": "a", "instanceType": "t", "userData": "old"}
    news: Properties = {**olds, "userData": "new"}
    assert list(engine.diff(TOKENS["Instance"], olds, news).replaces) == []
    asking: Properties = {"userDataReplaceOnChange": True}
    assert list(engine.diff(TOKENS["Instance"], {**olds, **asking}, {**news, **asking}).replaces) == ["userData"]


def test_a_new_security_group_lets_nothing_in_and_nothing_out(cloud: Aws, engine: Engine):
    network = Network(engine)
    instance(engine, network)
    [found] = view(cloud).instances
    assert (found.inbound, found.outbound) == ((), ())


def test_rules_of_a_group_lead_to_the_addresses_of_its_members_and_balancers(cloud: Aws, engine: Engine):
    network = Network(engine)
    front, _ = engine.make(TOKENS["SecurityGroup"], "front", vpcId=network.vpc)
    _, told = engine.make(
        TOKENS["LoadBalancer"], loadBalancerType="application", subnets=network.subnets, securityGroups=[front]
    )
    engine.make(
        TOKENS["SecurityGroupIngressRule"], securityGroupId=network.group, ipProtocol="tcp", fromPort=80, toPort=80,
        referencedSecurityGroupId=front,
    )  # fmt: skip
    instance(engine, network)
    [server], [balancer] = view(cloud).instances, view(cloud).balancers
    assert server.inbound == (Rule(low=80, high=80, peers=balancer.nodes),)
    assert [node.rpartition(".")[0] for node in balancer.nodes] == ["10.60.0", "10.60.1"]
    assert told["dnsName"].endswith(".elb.amazonaws.com")


def test_a_rule_with_two_sources_or_none_is_refused(engine: Engine):
    group = Network(engine).group
    wanted = {"securityGroupId": group, "ipProtocol": "tcp", "fromPort": 22, "toPort": 22}
    for extra in ({}, {"cidrIpv4": "10.0.0.0/8", "cidrIpv6": "::/0"}):
        with pytest.raises(Refused, match="exactly one"):
            engine.make(TOKENS["SecurityGroupIngressRule"], **wanted, **extra)


def test_an_elastic_address_takes_the_instances_own_away_and_moves(cloud: Aws, engine: Engine):
    network = Network(engine)
    (old, before), (new, _) = instance(engine, network), instance(engine, network)
    elastic, told = engine.make(TOKENS["Eip"], domain="vpc")
    engine.make(TOKENS["EipAssociation"], instanceId=old, allocationId=elastic)
    now = engine.read(TOKENS["Instance"], old)
    assert now and now["publicIp"] == told["publicIp"] != before["publicIp"]
    engine.make(TOKENS["EipAssociation"], instanceId=new, allocationId=elastic, allowReassociation=True)
    where = {each.id: told["publicIp"] in each.publics for each in view(cloud).instances}
    assert where == {old: False, new: True}


def test_an_address_that_changes_is_read_and_leads_to_the_server(cloud: Aws, engine: Engine):
    id, before = instance(engine, Network(engine))
    cloud.own_addresses[id] = cloud.public_address()  # as after a stop and a start
    cloud.show()
    after = engine.read(TOKENS["Instance"], id)
    assert after
    assert after["publicIp"] != before["publicIp"]
    assert view(cloud).instances[0].publics == (after["publicIp"],)


def test_a_subnet_without_a_way_to_the_internet_has_no_public_addresses(cloud: Aws, engine: Engine):
    network = Network(engine)
    instance(engine, network)
    assert view(cloud).instances[0].publics
    [table] = [each for each in cloud.client("ec2").describe_route_tables()["RouteTables"] if len(each["Routes"]) > 1]
    cloud.client("ec2").delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    cloud.show()
    assert view(cloud).instances[0].publics == ()


def test_a_balancer_in_one_zone_and_one_that_is_protected_are_refused(engine: Engine):
    network = Network(engine)
    with pytest.raises(Refused, match="two Availability Zones"):
        engine.make(TOKENS["LoadBalancer"], subnets=network.subnets[:1])
    kept, _ = engine.make(TOKENS["LoadBalancer"], subnets=network.subnets, enableDeletionProtection=True)
    with pytest.raises(Refused, match="deletion protection"):
        engine.delete(TOKENS["LoadBalancer"], kept)


def test_logs_that_nothing_is_said_of_stay_as_they_are_and_need_a_bucket_that_may_be_written_to(engine: Engine):
    wanted: Properties = {"accessLogs": {"bucket": "logs", "enabled": True}}
    with pytest.raises(Refused, match="Access Denied for bucket: logs"):
        engine.make(TOKENS["LoadBalancer"], subnets=Network(engine).subnets, accessLogs=wanted["accessLogs"])
    assert list(engine.diff(TOKENS["LoadBalancer"], wanted, {}).diffs) == []
    off: Properties = {"accessLogs": {"bucket": "", "enabled": False}}
    assert list(engine.diff(TOKENS["LoadBalancer"], wanted, off).diffs) == ["accessLogs"]


def test_a_network_in_use_stays(engine: Engine):
    network = Network(engine)
    instance(engine, network)
    with pytest.raises(Refused, match="DependencyViolation"):
        engine.delete(TOKENS["SecurityGroup"], network.group)


def test_drift_is_read_and_what_is_gone_is_gone(cloud: Aws, engine: Engine):
    network = Network(engine)
    id, _ = engine.make(TOKENS["LoadBalancer"], subnets=network.subnets, idleTimeout=65)
    changed = [{"Key": "idle_timeout.timeout_seconds", "Value": "10"}]
    cloud.client("elbv2").modify_load_balancer_attributes(LoadBalancerArn=id, Attributes=changed)
    found = engine.read(TOKENS["LoadBalancer"], id, {"idleTimeout": 65.0})
    assert found and found["idleTimeout"] == 10
    server, _ = instance(engine, network)
    cloud.client("ec2").terminate_instances(InstanceIds=[server])
    assert engine.read(TOKENS["Instance"], server) is None


def test_a_rule_and_health_checks_that_were_changed_are_read_so_and_changed_back(cloud: Aws, engine: Engine):
    network = Network(engine)
    rule: dict[str, Any] = {"securityGroupId": network.group, "ipProtocol": "tcp", "fromPort": 22, "toPort": 22}
    rule["cidrIpv4"] = "198.51.100.7/32"
    checks: dict[str, Any] = {"port": 80, "protocol": "HTTP", "vpcId": network.vpc, "healthCheck": {"interval": 5}}
    rule_id, _ = engine.make(TOKENS["SecurityGroupIngressRule"], **rule)
    group_id, _ = engine.make(TOKENS["TargetGroup"], **checks)
    manual_changes.admit_everybody_to_ssh(cloud)
    manual_changes.check_seldom(cloud)
    for token, id, inputs, key, changed in (
        ("SecurityGroupIngressRule", rule_id, rule, "cidrIpv4", "0.0.0.0/0"),
        ("TargetGroup", group_id, checks, "healthCheck", {"interval": 300}),
    ):
        drifted = engine.read(TOKENS[token], id, inputs)
        assert drifted
        assert drifted[key] == changed
        wide: dict[str, Any] = {**inputs, key: changed}
        engine.update(TOKENS[token], id, wide, inputs)
        assert (engine.read(TOKENS[token], id, inputs) or {})[key] == inputs[key]


def test_a_lost_reply_leaves_an_instance_and_no_capacity_none(cloud: Aws, engine: Engine):
    network = Network(engine)
    cloud.faults.no_capacity = {"Instance"}
    with pytest.raises(Refused, match="InsufficientInstanceCapacity"):
        instance(engine, network)
    cloud.faults.no_capacity, cloud.faults.lost_replies = set(), ["Instance"]
    with pytest.raises(Refused, match="connection reset"):
        instance(engine, network)
    assert len(view(cloud).instances) == 1


def test_everything_with_a_tag_is_listed_by_its_arn_and_the_rest_by_where_it_belongs(cloud: Aws, engine: Engine):
    network, tags = Network(engine), {"Stack": "prod"}
    server, _ = instance(engine, network, tags=tags)
    address, _ = engine.make(TOKENS["Eip"], domain="vpc", tags=tags)
    rule, _ = engine.make(
        TOKENS["SecurityGroupEgressRule"], securityGroupId=network.group, ipProtocol="-1", cidrIpv4="0.0.0.0/0",
        tags=tags,
    )  # fmt: skip
    engine.make(TOKENS["Eip"], domain="vpc", tags={"Stack": "other"})
    assert listed(engine) == {server, address, rule}
    engine.delete(TOKENS["Eip"], address)
    assert engine.read(TOKENS["Eip"], address) is None
    assert listed(engine) == {server, address, rule}, "what is deleted is listed for hours"
    tables = {each["RouteTableId"] for each in cloud.client("ec2").describe_route_tables()["RouteTables"]}
    found = [engine.invoke("aws:ec2/getRouteTable:getRouteTable", routeTableId=each) for each in tables]
    assert set(network.subnets) <= {each["subnetId"] for table in found for each in table["associations"]}


def listed(engine: Engine) -> set[str]:
    """The ids of what the tagging API tells of the stack."""
    filters = [{"key": "Stack", "values": ["prod"]}]
    told = engine.invoke("aws:resourcegroupstaggingapi/getResources:getResources", tagFilters=filters)
    return {each["resourceArn"].rpartition("/")[2] for each in told["resourceTagMappingLists"]}


def test_the_rules_of_a_group_are_told_with_their_ports_and_peers_and_are_tagged_after_they_are_made(
    cloud: Aws, engine: Engine
):
    group, tags = Network(engine).group, {"Name": "web"}
    cloud.faults.untagged = True
    wanted = {"ipProtocol": "tcp", "fromPort": 80, "toPort": 80, "referencedSecurityGroupId": group}
    made: dict[str, Any] = {"securityGroupId": group, **wanted, "tags": tags}
    rule, _ = engine.make(TOKENS["SecurityGroupIngressRule"], **made)
    of_group = [{"name": "group-id", "values": [group]}]
    assert engine.invoke("aws:vpc/getSecurityGroupRules:getSecurityGroupRules", filters=of_group)["ids"] == [rule]
    told = engine.invoke("aws:vpc/getSecurityGroupRule:getSecurityGroupRule", securityGroupRuleId=rule)
    assert {key: told[key] for key in wanted} == wanted
    assert (told["isEgress"], told["cidrIpv4"]) == (False, None)
    assert (engine.read(TOKENS["SecurityGroupIngressRule"], rule, made) or {})["tags"] == {}
    cloud.faults.untagged = False
    engine.update(TOKENS["SecurityGroupIngressRule"], rule, {**made, "tags": {}}, made)
    found = engine.read(TOKENS["SecurityGroupIngressRule"], rule, made) or {}
    assert (found["tags"], found["referencedSecurityGroupId"]) == (tags, group)


def test_an_argument_that_a_look_up_does_not_know_is_refused(engine: Engine):
    with pytest.raises(Refused, match="doesn't know the arguments resourceTypeFilters"):
        engine.invoke("aws:resourcegroupstaggingapi/getResources:getResources", resourceTypeFilters=["ec2"])
