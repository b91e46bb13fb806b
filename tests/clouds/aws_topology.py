"""The topology of a simulated AWS account: its instances, security groups and balancers."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from tests.clouds.infrastructure import Balancer, HealthCheck, Listener, Rule, Server, Target, Topology
from tests.clouds.simulated_cloud import Document

if TYPE_CHECKING:
    from tests.clouds.aws import SimulatedAws


def read_topology(cloud: SimulatedAws) -> Topology:
    return _TopologyReader(cloud).topology()


class _TopologyReader:
    """Lists the account's resources once, and translates them."""

    def __init__(self, cloud: SimulatedAws) -> None:
        self._cloud = cloud
        ec2, elb = cloud.client("ec2"), cloud.client("elbv2")
        existing = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopped"]}]
        reservations = ec2.describe_instances(Filters=existing)["Reservations"]
        self._instances: list[Document] = [
            instance for reservation in reservations for instance in reservation["Instances"]
        ]
        self._balancers: list[Document] = elb.describe_load_balancers()["LoadBalancers"]
        self._subnets = {subnet["SubnetId"]: subnet for subnet in ec2.describe_subnets()["Subnets"]}
        self._rules: list[Document] = ec2.describe_security_group_rules(MaxResults=1000)["SecurityGroupRules"]
        self._elastic_addresses: list[Document] = ec2.describe_addresses()["Addresses"]
        self._route_tables: list[Document] = ec2.describe_route_tables()["RouteTables"]
        self._elb = elb

    def topology(self) -> Topology:
        return Topology(
            servers=tuple(self._server(instance) for instance in self._instances),
            balancers=tuple(
                self._balancer(balancer)
                for balancer in self._balancers
                if balancer["LoadBalancerArn"] in self._cloud.balancer_addresses
            ),
        )

    def _server(self, instance: Document) -> Server:
        id = instance["InstanceId"]
        public_addresses = [
            self._cloud.elastic_addresses[address["AllocationId"]]
            for address in self._elastic_addresses
            if address.get("InstanceId") == id
        ]
        if id in self._cloud.auto_assigned_addresses:
            public_addresses.append(self._cloud.auto_assigned_addresses[id])
        groups = {group["GroupId"] for group in instance["SecurityGroups"]}
        return Server(
            id=id,
            private_address=instance["PrivateIpAddress"],
            public_addresses=tuple(public_addresses) if self._is_public(instance["SubnetId"]) else (),
            inbound=self._rules_of(groups, egress=False),
            outbound=self._rules_of(groups, egress=True),
        )

    def _is_public(self, subnet: str) -> bool:
        """Whether the subnet has a route to an internet gateway."""
        for table in self._route_tables:
            if any(association.get("SubnetId") == subnet for association in table["Associations"]):
                return any(str(route.get("GatewayId", "")).startswith("igw-") for route in table["Routes"])
        return False

    def _rules_of(self, groups: set[str], *, egress: bool) -> tuple[Rule, ...]:
        rules = [rule for rule in self._rules if rule["GroupId"] in groups and rule["IsEgress"] == egress]
        return tuple(self._rule(rule) for rule in rules)

    def _rule(self, rule: Document) -> Rule:
        peers = [rule["CidrIpv4"]] if rule.get("CidrIpv4") else []
        if peer_group := rule.get("ReferencedGroupInfo", {}).get("GroupId"):
            peers += self._member_addresses(peer_group)
        has_all_protocols = rule["IpProtocol"] == "-1"
        return Rule(
            protocol="all" if has_all_protocols else rule["IpProtocol"],
            low_port=0 if has_all_protocols else rule["FromPort"],
            high_port=65535 if has_all_protocols else rule["ToPort"],
            peers=tuple(peers),
        )

    def _member_addresses(self, group: str) -> list[str]:
        """The private addresses of a security group's instances and balancers."""
        addresses = [
            instance["PrivateIpAddress"]
            for instance in self._instances
            if group in {member_group["GroupId"] for member_group in instance["SecurityGroups"]}
        ]
        for balancer in self._balancers:
            if group in balancer.get("SecurityGroups", []):
                addresses += self._node_addresses(balancer)
        return addresses

    def _node_addresses(self, balancer: Document) -> list[str]:
        """One address in each subnet, counted from its end. Instances get the first addresses of a subnet."""
        arns = sorted(other["LoadBalancerArn"] for other in self._balancers)
        position = arns.index(balancer["LoadBalancerArn"])
        ranges = [self._subnets[zone["SubnetId"]]["CidrBlock"] for zone in balancer["AvailabilityZones"]]
        return [str(IPv4Network(cidr)[-2 - position]) for cidr in sorted(ranges)]

    def _balancer(self, balancer: Document) -> Balancer:
        arn = balancer["LoadBalancerArn"]
        attributes = _by_key(self._elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"])
        listeners = self._elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
        actions = [listener["DefaultActions"][0] for listener in listeners]
        group = next((action["TargetGroupArn"] for action in actions if action["Type"] == "forward"), None)
        health_check, targets, drain_seconds = self._target_group(group)
        return Balancer(
            id=arn.rpartition("/")[2],
            network=balancer["VpcId"],
            public_address=self._cloud.balancer_addresses[arn],
            node_addresses=tuple(self._node_addresses(balancer)),
            listeners=tuple(self._listener(listener) for listener in listeners),
            targets=targets,
            health_check=health_check,
            idle_seconds=int(attributes.get("idle_timeout.timeout_seconds", 60)),
            drain_seconds=drain_seconds,
            inbound=self._rules_of(set(balancer.get("SecurityGroups", [])), egress=False),
        )

    def _listener(self, listener: Document) -> Listener:
        action = listener["DefaultActions"][0]
        redirect = action.get("RedirectConfig")
        certificates = listener.get("Certificates") or []
        return Listener(
            port=listener["Port"],
            protocol=listener["Protocol"].lower(),
            redirect_port=int(redirect.get("Port", 443)) if action["Type"] == "redirect" else None,
            certificate=self._cloud.certificates[certificates[0]["CertificateArn"]] if certificates else None,
        )

    def _target_group(self, arn: str | None) -> tuple[HealthCheck, tuple[Target, ...], int]:
        """The health check, the targets and the seconds of draining; defaults for a balancer without a group."""
        if arn is None:
            return HealthCheck(path="/", port=80), (), 300
        [group] = self._elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
        attributes = _by_key(self._elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"])
        health_check = HealthCheck(
            path=group["HealthCheckPath"],
            port=group["Port"],
            interval=group["HealthCheckIntervalSeconds"],
            timeout=group["HealthCheckTimeoutSeconds"],
            healthy_threshold=group["HealthyThresholdCount"],
            unhealthy_threshold=group["UnhealthyThresholdCount"],
            statuses=group["Matcher"]["HttpCode"],
        )
        drain_seconds = int(attributes.get("deregistration_delay.timeout_seconds", 300))
        return health_check, self._targets(arn), drain_seconds

    def _targets(self, group_arn: str) -> tuple[Target, ...]:
        """The registered targets whose instances exist."""
        instances = {instance["InstanceId"]: instance for instance in self._instances}
        descriptions = self._elb.describe_target_health(TargetGroupArn=group_arn)["TargetHealthDescriptions"]
        registrations = [description["Target"] for description in descriptions]
        return tuple(
            Target(
                id=registration["Id"],
                address=instances[registration["Id"]]["PrivateIpAddress"],
                port=registration["Port"],
                zone=instances[registration["Id"]]["Placement"]["AvailabilityZone"],
            )
            for registration in registrations
            if registration["Id"] in instances
        )


def _by_key(attributes: list[Document]) -> dict[str, str]:
    return {attribute["Key"]: attribute["Value"] for attribute in attributes}
