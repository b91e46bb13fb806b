"""AWS: networks, who may pass, and addresses."""

from __future__ import annotations

from typing import Any

from tests.clouds.aws import Document, Resource
from tests.clouds.faults import CloudError
from tests.clouds.kinds import Kind, Name


class Vpc(Resource):
    shows = False
    token = "aws:ec2/vpc:Vpc"
    kind = Kind(
        inputs={"cidrBlock": str, "enableDnsSupport": bool, "enableDnsHostnames": bool, "tags": dict},
        outputs=("arn", "tagsAll", "defaultSecurityGroupId", "mainRouteTableId"),
        replaces=("cidrBlock",),
    )

    def make(self, inputs: Document) -> str:
        tags = self.tags(inputs, "vpc")
        id: str = self.ec2.create_vpc(CidrBlock=inputs["cidrBlock"], TagSpecifications=tags)["Vpc"]["VpcId"]
        for ours, theirs in (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")):
            if ours in inputs:
                self.ec2.modify_vpc_attribute(VpcId=id, **{theirs: {"Value": inputs[ours]}})
        self.cloud.world.network(id, inputs["cidrBlock"])
        return id

    def live(self, id: str) -> Document | None:
        [found] = self.ec2.describe_vpcs(VpcIds=[id])["Vpcs"]
        return {"cidrBlock": found["CidrBlock"], "arn": f"arn:aws:ec2:{self.cloud.region}:vpc/{id}"}

    def drop(self, id: str) -> None:
        self.ec2.delete_vpc(VpcId=id)
        self.cloud.world.remove_network(id)


class InternetGateway(Resource):
    shows = False
    token = "aws:ec2/internetGateway:InternetGateway"
    kind = Kind(inputs={"vpcId": str, "tags": dict}, outputs=("arn", "tagsAll"))

    def make(self, inputs: Document) -> str:
        made = self.ec2.create_internet_gateway(TagSpecifications=self.tags(inputs, "internet-gateway"))
        id: str = made["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=id, VpcId=inputs["vpcId"])
        return id

    def live(self, id: str) -> Document | None:
        [found] = self.ec2.describe_internet_gateways(InternetGatewayIds=[id])["InternetGateways"]
        return {"vpcId": found["Attachments"][0]["VpcId"] if found["Attachments"] else ""}

    def drop(self, id: str) -> None:
        live = self.live(id)
        if live and live["vpcId"]:
            self.ec2.detach_internet_gateway(InternetGatewayId=id, VpcId=live["vpcId"])
        self.ec2.delete_internet_gateway(InternetGatewayId=id)


class Subnet(Resource):
    shows = False
    token = "aws:ec2/subnet:Subnet"
    kind = Kind(
        inputs={
            "vpcId!": str, "cidrBlock": str, "availabilityZone": str, "mapPublicIpOnLaunch": bool, "tags": dict,
        },
        outputs=("arn", "tagsAll"),
        replaces=("vpcId", "cidrBlock", "availabilityZone"),
    )  # fmt: skip

    def make(self, inputs: Document) -> str:
        given = {"VpcId": inputs["vpcId"], "CidrBlock": inputs["cidrBlock"]}
        given["AvailabilityZone"] = inputs.get("availabilityZone", f"{self.cloud.region}a")
        made = self.ec2.create_subnet(**given, TagSpecifications=self.tags(inputs, "subnet"))
        id: str = made["Subnet"]["SubnetId"]
        self._map(id, inputs)
        return id

    def live(self, id: str) -> Document | None:
        [found] = self.ec2.describe_subnets(SubnetIds=[id])["Subnets"]
        return {"mapPublicIpOnLaunch": found["MapPublicIpOnLaunch"], "availabilityZone": found["AvailabilityZone"]}

    def change(self, id: str, olds: Document, news: Document, changed: set[str]) -> set[str]:
        self._map(id, news)
        return {"mapPublicIpOnLaunch"}

    def _map(self, id: str, inputs: Document) -> None:
        wanted = {"Value": bool(inputs.get("mapPublicIpOnLaunch", False))}
        self.ec2.modify_subnet_attribute(SubnetId=id, MapPublicIpOnLaunch=wanted)

    def drop(self, id: str) -> None:
        self.ec2.delete_subnet(SubnetId=id)


class RouteTable(Resource):
    shows = False
    token = "aws:ec2/routeTable:RouteTable"
    kind = Kind(inputs={"vpcId!": str, "tags": dict}, outputs=("arn", "tagsAll"), replaces=("vpcId",))

    def make(self, inputs: Document) -> str:
        made = self.ec2.create_route_table(VpcId=inputs["vpcId"], TagSpecifications=self.tags(inputs, "route-table"))
        return made["RouteTable"]["RouteTableId"]

    def live(self, id: str) -> Document | None:
        [found] = self.ec2.describe_route_tables(RouteTableIds=[id])["RouteTables"]
        return {"vpcId": found["VpcId"]}

    def drop(self, id: str) -> None:
        self.ec2.delete_route_table(RouteTableId=id)


class Route(Resource):
    token = "aws:ec2/route:Route"
    kind = Kind(
        inputs={"routeTableId!": str, "destinationCidrBlock": str, "gatewayId": str},
        outputs=("state", "origin"),
        replaces=("routeTableId", "destinationCidrBlock"),
    )

    def make(self, inputs: Document) -> str:
        table, to = inputs["routeTableId"], inputs["destinationCidrBlock"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock=to, GatewayId=inputs["gatewayId"])
        return f"{table}_{to}"

    def live(self, id: str) -> Document | None:
        table, _, to = id.partition("_")
        [found] = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        route = next((each for each in found["Routes"] if each.get("DestinationCidrBlock") == to), None)
        return {"gatewayId": route["GatewayId"], "state": "active", "origin": "CreateRoute"} if route else None

    def drop(self, id: str) -> None:
        table, _, to = id.partition("_")
        self.ec2.delete_route(RouteTableId=table, DestinationCidrBlock=to)


class RouteTableAssociation(Resource):
    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    kind = Kind(inputs={"routeTableId!": str, "subnetId": str}, replaces=("subnetId",))

    def make(self, inputs: Document) -> str:
        made = self.ec2.associate_route_table(RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"])
        return made["AssociationId"]

    def live(self, id: str) -> Document | None:
        tables = self.ec2.describe_route_tables()["RouteTables"]
        ids = [each.get("RouteTableAssociationId") for table in tables for each in table["Associations"]]
        return {} if id in ids else None

    def drop(self, id: str) -> None:
        self.ec2.disassociate_route_table(AssociationId=id)


class SecurityGroup(Resource):
    shows = False
    token = "aws:ec2/securityGroup:SecurityGroup"
    kind = Kind(
        inputs={"name": str, "description": str, "vpcId": str, "tags": dict},
        outputs=("arn", "ownerId", "tagsAll"),
        replaces=("name", "description", "vpcId"),
        name=Name(limit=255, pattern=r"(?!sg-)[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]+"),
    )

    def make(self, inputs: Document) -> str:
        given = {"GroupName": inputs["name"], "Description": inputs.get("description", "Managed by Pulumi")}
        tags = self.tags(inputs, "security-group")
        id: str = self.ec2.create_security_group(**given, VpcId=inputs["vpcId"], TagSpecifications=tags)["GroupId"]
        [made] = self.ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"]
        # A new group lets everything out, and the provider takes that away: who needs a way out must say so.
        self.ec2.revoke_security_group_egress(GroupId=id, IpPermissions=made["IpPermissionsEgress"])
        return id

    def live(self, id: str) -> Document | None:
        [found] = self.ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"]
        return {"name": found["GroupName"], "description": found["Description"], "ownerId": found["OwnerId"]}

    def drop(self, id: str) -> None:
        # AWS looks, and moto doesn't.
        groups = [{"Name": "instance.group-id", "Values": [id]}]
        alive = [*groups, {"Name": "instance-state-name", "Values": ["pending", "running", "stopped"]}]
        rules = self.ec2.describe_security_group_rules(MaxResults=1000)["SecurityGroupRules"]
        others = [each for each in rules if each.get("ReferencedGroupInfo", {}).get("GroupId") == id]
        balancers = self.cloud.client("elbv2").describe_load_balancers()["LoadBalancers"]
        used = self.ec2.describe_instances(Filters=alive)["Reservations"]
        used += [each for each in balancers if id in each.get("SecurityGroups", [])]
        if used or any(each["GroupId"] != id for each in others):
            raise CloudError(f"DependencyViolation: resource {id} has a dependent object")
        self.ec2.delete_security_group(GroupId=id)


# What AWS tells of a rule, and takes to change it.
_TOLD = {
    "ipProtocol": "IpProtocol", "fromPort": "FromPort", "toPort": "ToPort", "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6", "description": "Description",
}  # fmt: skip


class _GroupRule(Resource):
    egress: bool

    def make(self, inputs: Document) -> str:
        peers = [key for key in ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId") if key in inputs]
        if len(peers) != 1:
            raise CloudError("exactly one of cidrIpv4, cidrIpv6, prefixListId, referencedSecurityGroupId must be set")
        if "referencedSecurityGroupId" in inputs:
            self.ec2.describe_security_groups(GroupIds=[inputs["referencedSecurityGroupId"]])
        permission: dict[str, Any] = {"IpProtocol": inputs["ipProtocol"]}
        for ours, theirs in (("fromPort", "FromPort"), ("toPort", "ToPort")):
            if ours in inputs:
                permission[theirs] = int(inputs[ours])
        said = {"Description": inputs["description"]} if "description" in inputs else {}
        lists = {
            "cidrIpv4": ("IpRanges", "CidrIp"),
            "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
            "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
        }
        where, field = lists[peers[0]]
        permission[where] = [{field: inputs[peers[0]], **said}]
        way = "egress" if self.egress else "ingress"
        call = getattr(self.ec2, f"authorize_security_group_{way}")
        tags = self.tags(inputs, "security-group-rule")
        made = call(GroupId=inputs["securityGroupId"], IpPermissions=[permission], TagSpecifications=tags)
        return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def live(self, id: str) -> Document | None:
        found = self.ec2.describe_security_group_rules(SecurityGroupRuleIds=[id])["SecurityGroupRules"]
        if not found:
            return None
        told = {ours: found[0][theirs] for ours, theirs in _TOLD.items() if theirs in found[0]}
        # Every protocol has every port, which is never said when it is made.
        return {"securityGroupRuleId": id, **{key: value for key, value in told.items() if value != -1}}

    def change(self, id: str, olds: Document, news: Document, changed: set[str]) -> set[str]:
        rule = {theirs: news[ours] for ours, theirs in _TOLD.items() if ours in news}
        rule |= {theirs: int(rule[theirs]) for theirs in ("FromPort", "ToPort") if theirs in rule}
        self.ec2.modify_security_group_rules(
            GroupId=news["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": id, "SecurityGroupRule": rule}],
        )
        return set(_TOLD)

    def drop(self, id: str) -> None:
        way = "egress" if self.egress else "ingress"
        given = self.cloud.given[type(self), id]
        call = getattr(self.ec2, f"revoke_security_group_{way}")
        call(GroupId=given["securityGroupId"], SecurityGroupRuleIds=[id])


_RULE = Kind(
    inputs={
        "securityGroupId!": str, "ipProtocol!": str, "fromPort": int, "toPort": int, "cidrIpv4": str, "cidrIpv6": str,
        "referencedSecurityGroupId": str, "description": str, "tags": dict,
    },
    outputs=("securityGroupRuleId", "arn", "tagsAll"),
    replaces=("securityGroupId",),
)  # fmt: skip


class IngressRule(_GroupRule):
    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    kind, egress = _RULE, False


class EgressRule(_GroupRule):
    token = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    kind, egress = _RULE, True


class Eip(Resource):
    token = "aws:ec2/eip:Eip"
    kind = Kind(
        inputs={"domain": str, "tags": dict},
        outputs=("allocationId", "publicIp", "tagsAll"),
        replaces=("domain",),
    )

    def make(self, inputs: Document) -> str:
        made = self.ec2.allocate_address(Domain="vpc", TagSpecifications=self.tags(inputs, "elastic-ip"))
        id: str = made["AllocationId"]
        with self.cloud.lock:
            self.cloud.elastic[id] = self.cloud.public_address()
        return id

    def live(self, id: str) -> Document | None:
        self.ec2.describe_addresses(AllocationIds=[id])
        return {"allocationId": id, "publicIp": self.cloud.elastic[id]}

    def drop(self, id: str) -> None:
        self.ec2.release_address(AllocationId=id)
        self.cloud.elastic.pop(id, None)


class EipAssociation(Resource):
    token = "aws:ec2/eipAssociation:EipAssociation"
    kind = Kind(
        inputs={"instanceId": str, "allocationId": str, "allowReassociation": bool},
        outputs=("publicIp", "privateIpAddress", "networkInterfaceId"),
        replaces=("instanceId", "allocationId", "allowReassociation"),
    )

    def make(self, inputs: Document) -> str:
        again = inputs.get("allowReassociation", False)
        given = {"InstanceId": inputs["instanceId"], "AllocationId": inputs["allocationId"]}
        made = self.ec2.associate_address(**given, AllowReassociation=again)
        # An instance has one address for its one private one: its own goes back to the pool.
        self.cloud.own_addresses.pop(inputs["instanceId"], None)
        return made["AssociationId"]

    def live(self, id: str) -> Document | None:
        for each in self.ec2.describe_addresses()["Addresses"]:
            if each.get("AssociationId") == id:
                return {"instanceId": each["InstanceId"], "publicIp": self.cloud.elastic[each["AllocationId"]]}
        return None

    def drop(self, id: str) -> None:
        live = self.live(id)
        if live is None:
            return
        self.ec2.disassociate_address(AssociationId=id)
        with self.cloud.lock:
            self.cloud.own_addresses[live["instanceId"]] = self.cloud.public_address()


TYPES: list[type[Resource]] = [
    Vpc, InternetGateway, Subnet, RouteTable, Route, RouteTableAssociation, SecurityGroup, IngressRule, EgressRule,
    Eip, EipAssociation,
]  # fmt: skip
