"""AWS: networks and addresses."""

from __future__ import annotations

from tests.clouds.aws import Document, Resource
from tests.clouds.resource_schema import Kind


class Vpc(Resource):
    shows = False
    token = "aws:ec2/vpc:Vpc"
    called = "vpc"
    kind = Kind(
        inputs={"cidrBlock": str, "enableDnsSupport": bool, "enableDnsHostnames": bool, "tags": dict},
        outputs=("arn", "tagsAll", "defaultSecurityGroupId", "mainRouteTableId"),
        replaces=("cidrBlock",),
    )

    def make(self, inputs: Document) -> str:
        tags = self.tags(inputs)
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
    called = "internet-gateway"
    kind = Kind(inputs={"vpcId": str, "tags": dict}, outputs=("arn", "tagsAll"))

    def make(self, inputs: Document) -> str:
        made = self.ec2.create_internet_gateway(TagSpecifications=self.tags(inputs))
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
    called = "subnet"
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
        made = self.ec2.create_subnet(**given, TagSpecifications=self.tags(inputs))
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
    called = "route-table"
    kind = Kind(inputs={"vpcId!": str, "tags": dict}, outputs=("arn", "tagsAll"), replaces=("vpcId",))

    def make(self, inputs: Document) -> str:
        made = self.ec2.create_route_table(VpcId=inputs["vpcId"], TagSpecifications=self.tags(inputs))
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


class Eip(Resource):
    token = "aws:ec2/eip:Eip"
    called = "elastic-ip"
    kind = Kind(
        inputs={"domain": str, "tags": dict},
        outputs=("allocationId", "publicIp", "tagsAll"),
        replaces=("domain",),
    )

    def make(self, inputs: Document) -> str:
        made = self.ec2.allocate_address(Domain="vpc", TagSpecifications=self.tags(inputs))
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
    Vpc, InternetGateway, Subnet, RouteTable, Route, RouteTableAssociation, Eip, EipAssociation,
]  # fmt: skip
