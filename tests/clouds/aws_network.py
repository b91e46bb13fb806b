"""AWS: networks and addresses."""

from __future__ import annotations

from tests.clouds import aws_rules
from tests.clouds.aws_resource import AwsResource, checksum
from tests.clouds.input_rules import all_of, one_of
from tests.clouds.resource_schema import ResourceSchema
from tests.clouds.simulated_cloud import Document


class Vpc(AwsResource, module="ec2"):
    ec2_name = "vpc"
    schema = ResourceSchema(
        inputs={"cidrBlock": str, "enableDnsSupport": bool, "enableDnsHostnames": bool, "tags": dict},
        outputs=("arn", "tagsAll", "defaultSecurityGroupId", "mainRouteTableId"),
        replaces=("cidrBlock",),
        computed=("cidrBlock", "enableDnsHostnames"),
        defaults={"enableDnsSupport": True},
        rules={"cidrBlock": aws_rules.network(4, range(16, 29))},
    )

    def api_create(self, inputs: Document) -> str:
        tags = self.ec2_tags(inputs)
        id: str = self.ec2.create_vpc(CidrBlock=inputs["cidrBlock"], TagSpecifications=tags)["Vpc"]["VpcId"]
        for key, aws_key in (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")):
            if key in inputs:
                self.ec2.modify_vpc_attribute(VpcId=id, **{aws_key: {"Value": inputs[key]}})
        self.cloud.infrastructure.create_network(id, inputs["cidrBlock"])
        return id

    def api_read(self, id: str) -> Document | None:
        [vpc] = self.ec2.describe_vpcs(VpcIds=[id])["Vpcs"]
        return {"cidrBlock": vpc["CidrBlock"], "arn": f"arn:aws:ec2:{self.cloud.region}:vpc/{id}"}

    def api_delete(self, id: str) -> None:
        self.ec2.delete_vpc(VpcId=id)
        self.cloud.infrastructure.remove_network(id)


class InternetGateway(AwsResource, module="ec2"):
    ec2_name = "internet-gateway"
    schema = ResourceSchema(inputs={"vpcId": str, "tags": dict}, outputs=("arn", "tagsAll"), computed=("vpcId",))

    def api_create(self, inputs: Document) -> str:
        response = self.ec2.create_internet_gateway(TagSpecifications=self.ec2_tags(inputs))
        id: str = response["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=id, VpcId=inputs["vpcId"])
        return id

    def api_read(self, id: str) -> Document | None:
        [gateway] = self.ec2.describe_internet_gateways(InternetGatewayIds=[id])["InternetGateways"]
        return {"vpcId": gateway["Attachments"][0]["VpcId"] if gateway["Attachments"] else ""}

    def api_delete(self, id: str) -> None:
        live = self.api_read(id)
        if live and live["vpcId"]:
            self.ec2.detach_internet_gateway(InternetGatewayId=id, VpcId=live["vpcId"])
        self.ec2.delete_internet_gateway(InternetGatewayId=id)


class Subnet(AwsResource, module="ec2"):
    ec2_name = "subnet"
    schema = ResourceSchema(
        inputs={
            "vpcId!": str, "cidrBlock": str, "availabilityZone": str, "mapPublicIpOnLaunch": bool, "tags": dict,
        },
        outputs=("arn", "tagsAll"),
        replaces=("vpcId", "cidrBlock", "availabilityZone"),
        computed=("cidrBlock", "availabilityZone"),
        defaults={"mapPublicIpOnLaunch": False},
        rules={"cidrBlock": aws_rules.network(4)},
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        response = self.ec2.create_subnet(
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            AvailabilityZone=inputs.get("availabilityZone", f"{self.cloud.region}a"),
            TagSpecifications=self.ec2_tags(inputs),
        )
        id: str = response["Subnet"]["SubnetId"]
        self._map_public_addresses(id, inputs)
        return id

    def api_read(self, id: str) -> Document | None:
        [subnet] = self.ec2.describe_subnets(SubnetIds=[id])["Subnets"]
        return {"mapPublicIpOnLaunch": subnet["MapPublicIpOnLaunch"], "availabilityZone": subnet["AvailabilityZone"]}

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        self._map_public_addresses(id, news)
        return {"mapPublicIpOnLaunch"}

    def api_delete(self, id: str) -> None:
        self.ec2.delete_subnet(SubnetId=id)

    def _map_public_addresses(self, id: str, inputs: Document) -> None:
        value = {"Value": bool(inputs.get("mapPublicIpOnLaunch", False))}
        self.ec2.modify_subnet_attribute(SubnetId=id, MapPublicIpOnLaunch=value)


class RouteTable(AwsResource, module="ec2"):
    ec2_name = "route-table"
    schema = ResourceSchema(inputs={"vpcId!": str, "tags": dict}, outputs=("arn", "tagsAll"), replaces=("vpcId",))

    def api_create(self, inputs: Document) -> str:
        response = self.ec2.create_route_table(VpcId=inputs["vpcId"], TagSpecifications=self.ec2_tags(inputs))
        return response["RouteTable"]["RouteTableId"]

    def api_read(self, id: str) -> Document | None:
        [table] = self.ec2.describe_route_tables(RouteTableIds=[id])["RouteTables"]
        return {"vpcId": table["VpcId"]}

    def api_delete(self, id: str) -> None:
        self.ec2.delete_route_table(RouteTableId=id)


class Route(AwsResource, module="ec2"):
    affects_topology = True
    schema = ResourceSchema(
        inputs={"routeTableId!": str, "destinationCidrBlock": str, "gatewayId": str},
        outputs=("state", "origin"),
        replaces=("routeTableId", "destinationCidrBlock"),
        rules={
            "": all_of(*(aws_rules.exactly_one_of(name) for name in ("destinationCidrBlock", "gatewayId"))),
            "destinationCidrBlock": aws_rules.network(4),
        },
    )

    def api_create(self, inputs: Document) -> str:
        table, destination = inputs["routeTableId"], inputs["destinationCidrBlock"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock=destination, GatewayId=inputs["gatewayId"])
        return _route_id(table, destination)

    def api_read(self, id: str) -> Document | None:
        live = self._find(id)
        return {**live, "state": "active", "origin": "CreateRoute"} if live else None

    def api_delete(self, id: str) -> None:
        if live := self._find(id):
            destination = live["destinationCidrBlock"]
            self.ec2.delete_route(RouteTableId=live["routeTableId"], DestinationCidrBlock=destination)

    def _find(self, id: str) -> Document | None:
        """The route's inputs; None where it doesn't exist. Its id is a checksum, so every route is compared with it."""
        for table in self.ec2.describe_route_tables()["RouteTables"]:
            for route in table["Routes"]:
                table_id, destination = table["RouteTableId"], route.get("DestinationCidrBlock", "")
                if id == _route_id(table_id, destination):
                    gateway = route.get("GatewayId")
                    return {"routeTableId": table_id, "destinationCidrBlock": destination, "gatewayId": gateway}
        return None


def _route_id(table: str, destination: str) -> str:
    """The provider makes the id, since AWS has none for a route."""
    return f"r-{table}{checksum(destination)}"


class RouteTableAssociation(AwsResource, module="ec2"):
    affects_topology = True
    schema = ResourceSchema(
        inputs={"routeTableId!": str, "subnetId": str},
        replaces=("subnetId",),
        rules={"": aws_rules.exactly_one_of("subnetId", "gatewayId")},
    )

    def api_create(self, inputs: Document) -> str:
        response = self.ec2.associate_route_table(RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"])
        return response["AssociationId"]

    def api_read(self, id: str) -> Document | None:
        tables = self.ec2.describe_route_tables()["RouteTables"]
        associations = [association for table in tables for association in table["Associations"]]
        return {} if id in [association.get("RouteTableAssociationId") for association in associations] else None

    def api_delete(self, id: str) -> None:
        self.ec2.disassociate_route_table(AssociationId=id)


class Eip(AwsResource, module="ec2"):
    affects_topology = True
    ec2_name = "elastic-ip"
    schema = ResourceSchema(
        inputs={"domain": str, "tags": dict},
        outputs=("allocationId", "publicIp", "tagsAll"),
        replaces=("domain",),
        computed=("domain",),
        rules={"domain": one_of("vpc", "standard")},
    )

    def api_create(self, inputs: Document) -> str:
        response = self.ec2.allocate_address(Domain="vpc", TagSpecifications=self.ec2_tags(inputs))
        id: str = response["AllocationId"]
        with self.cloud.lock:
            self.cloud.elastic_addresses[id] = self.cloud.new_public_address()
        return id

    def api_read(self, id: str) -> Document | None:
        self.ec2.describe_addresses(AllocationIds=[id])
        return {"allocationId": id, "publicIp": self.cloud.elastic_addresses[id], "domain": "vpc"}

    def api_delete(self, id: str) -> None:
        self.ec2.release_address(AllocationId=id)
        self.cloud.elastic_addresses.pop(id, None)


class EipAssociation(AwsResource, module="ec2"):
    affects_topology = True
    schema = ResourceSchema(
        inputs={"instanceId": str, "allocationId": str, "allowReassociation": bool},
        outputs=("publicIp", "privateIpAddress", "networkInterfaceId"),
        replaces=("instanceId", "allocationId", "allowReassociation"),
        computed=("instanceId", "allocationId"),
    )

    def api_create(self, inputs: Document) -> str:
        response = self.ec2.associate_address(
            InstanceId=inputs["instanceId"],
            AllocationId=inputs["allocationId"],
            AllowReassociation=inputs.get("allowReassociation", False),
        )
        # An instance has one public address. The one that AWS assigned to it goes back to the pool.
        self.cloud.auto_assigned_addresses.pop(inputs["instanceId"], None)
        return response["AssociationId"]

    def api_read(self, id: str) -> Document | None:
        for address in self.ec2.describe_addresses()["Addresses"]:
            if address.get("AssociationId") == id:
                public_address = self.cloud.elastic_addresses[address["AllocationId"]]
                return {"instanceId": address["InstanceId"], "publicIp": public_address}
        return None

    def api_delete(self, id: str) -> None:
        live = self.api_read(id)
        if live is None:
            return
        self.ec2.disassociate_address(AssociationId=id)
        with self.cloud.lock:
            self.cloud.auto_assigned_addresses[live["instanceId"]] = self.cloud.new_public_address()


TYPES: list[type[AwsResource]] = [
    Vpc, InternetGateway, Subnet, RouteTable, Route, RouteTableAssociation, Eip, EipAssociation,
]  # fmt: skip
