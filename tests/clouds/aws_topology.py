"""What the account's instances, groups and balancers mean for machines and packets."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from tests.clouds.infrastructure import Balancer, Health, Instance, Listener, Rule, Target, View

if TYPE_CHECKING:
    from tests.clouds.aws import Aws

Document = dict[str, Any]


def view(cloud: Aws) -> View:
    return _Reader(cloud).view()


class _Reader:
    """Asks the API once for all that a view needs."""

    def __init__(self, cloud: Aws) -> None:
        self._cloud = cloud
        ec2, elb = cloud.client("ec2"), cloud.client("elbv2")
        alive = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopped"]}]
        reservations = ec2.describe_instances(Filters=alive)["Reservations"]
        self._instances: list[Document] = [each for found in reservations for each in found["Instances"]]
        self._balancers: list[Document] = elb.describe_load_balancers()["LoadBalancers"]
        self._subnets = {each["SubnetId"]: each for each in ec2.describe_subnets()["Subnets"]}
        self._rules: list[Document] = ec2.describe_security_group_rules(MaxResults=1000)["SecurityGroupRules"]
        self._addresses: list[Document] = ec2.describe_addresses()["Addresses"]
        self._tables: list[Document] = ec2.describe_route_tables()["RouteTables"]
        self._elb = elb

    def view(self) -> View:
        return View(
            instances=tuple(self._instance(each) for each in self._instances),
            balancers=tuple(
                self._balancer(each) for each in self._balancers if each["LoadBalancerArn"] in self._cloud.fronts
            ),
        )

    def _instance(self, found: Document) -> Instance:
        id = found["InstanceId"]
        elastic = [
            self._cloud.elastic[each["AllocationId"]] for each in self._addresses if each.get("InstanceId") == id
        ]
        own = [self._cloud.own_addresses[id]] if id in self._cloud.own_addresses else []
        groups = {each["GroupId"] for each in found["SecurityGroups"]}
        return Instance(
            id=id,
            private=found["PrivateIpAddress"],
            publics=tuple([*elastic, *own]) if self._is_public(found["SubnetId"]) else (),
            inbound=self._passing(groups, egress=False),
            outbound=self._passing(groups, egress=True),
        )

    def _is_public(self, subnet: str) -> bool:
        """Whether its routes lead to an internet gateway."""
        for table in self._tables:
            if any(each.get("SubnetId") == subnet for each in table["Associations"]):
                return any(str(each.get("GatewayId", "")).startswith("igw-") for each in table["Routes"])
        return False

    def _passing(self, groups: set[str], *, egress: bool) -> tuple[Rule, ...]:
        chosen = [each for each in self._rules if each["GroupId"] in groups and each["IsEgress"] == egress]
        return tuple(self._rule(each) for each in chosen)

    def _rule(self, rule: Document) -> Rule:
        peers = [rule["CidrIpv4"]] if rule.get("CidrIpv4") else []
        if other := rule.get("ReferencedGroupInfo", {}).get("GroupId"):
            peers += self._members(other)
        every = rule["IpProtocol"] == "-1"
        return Rule(
            protocol="all" if every else rule["IpProtocol"],
            low=0 if every else rule["FromPort"],
            high=65535 if every else rule["ToPort"],
            peers=tuple(peers),
        )

    def _members(self, group: str) -> list[str]:
        """The private addresses of a group's members, balancers among them."""
        found = [
            each["PrivateIpAddress"]
            for each in self._instances
            if group in {one["GroupId"] for one in each["SecurityGroups"]}
        ]
        for balancer in self._balancers:
            if group in balancer.get("SecurityGroups", []):
                found += self._nodes(balancer)
        return found

    def _nodes(self, balancer: Document) -> list[str]:
        """One address in each subnet, from its end: instances get theirs from the beginning."""
        place = sorted(each["LoadBalancerArn"] for each in self._balancers).index(balancer["LoadBalancerArn"])
        ranges = [self._subnets[each["SubnetId"]]["CidrBlock"] for each in balancer["AvailabilityZones"]]
        return [str(IPv4Network(each)[-2 - place]) for each in sorted(ranges)]

    def _balancer(self, found: Document) -> Balancer:
        arn = found["LoadBalancerArn"]
        told = self._elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        attributes = {each["Key"]: each["Value"] for each in told}
        listeners = self._elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
        actions = [each["DefaultActions"][0] for each in listeners]
        group = next((each["TargetGroupArn"] for each in actions if each["Type"] == "forward"), None)
        health, targets, drain = self._targets(group)
        return Balancer(
            id=arn.rpartition("/")[2],
            network=found["VpcId"],
            public=self._cloud.fronts[arn],
            nodes=tuple(self._nodes(found)),
            listeners=tuple(self._listener(each) for each in listeners),
            targets=targets,
            health=health,
            idle_seconds=int(attributes.get("idle_timeout.timeout_seconds", 60)),
            drain_seconds=drain,
            inbound=self._passing(set(found.get("SecurityGroups", [])), egress=False),
        )

    def _listener(self, found: Document) -> Listener:
        action = found["DefaultActions"][0]
        redirect = action.get("RedirectConfig")
        certificates = found.get("Certificates") or []
        return Listener(
            port=found["Port"],
            protocol=found["Protocol"].lower(),
            redirect_port=int(redirect.get("Port", 443)) if action["Type"] == "redirect" else None,
            certificate=self._cloud.certificates[certificates[0]["CertificateArn"]] if certificates else None,
        )

    def _targets(self, arn: str | None) -> tuple[Health, tuple[Target, ...], int]:
        if arn is None:
            return Health(path="/", port=80), (), 300
        [group] = self._elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
        told = self._elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        attributes = {each["Key"]: each["Value"] for each in told}
        alive = {each["InstanceId"]: each for each in self._instances}
        registered = [
            each["Target"] for each in self._elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        ]
        targets = tuple(
            Target(
                id=each["Id"],
                address=alive[each["Id"]]["PrivateIpAddress"],
                port=each["Port"],
                zone=alive[each["Id"]]["Placement"]["AvailabilityZone"],
            )
            for each in registered
            if each["Id"] in alive
        )
        health = Health(
            path=group["HealthCheckPath"],
            port=group["Port"],
            interval=group["HealthCheckIntervalSeconds"],
            timeout=group["HealthCheckTimeoutSeconds"],
            healthy=group["HealthyThresholdCount"],
            unhealthy=group["UnhealthyThresholdCount"],
            statuses=group["Matcher"]["HttpCode"],
        )
        return health, targets, int(attributes.get("deregistration_delay.timeout_seconds", 300))
