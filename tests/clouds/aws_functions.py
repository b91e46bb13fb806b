"""AWS: the provider's look-ups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tests.clouds.faults import CloudError

if TYPE_CHECKING:
    from tests.clouds.aws import Aws

Document = dict[str, Any]


def functions(cloud: Aws) -> Mapping[str, Callable[[Document], Document]]:
    ec2 = cloud.client("ec2")

    def ami(args: Document) -> Document:
        found = ec2.describe_images(Owners=args["owners"], Filters=_filters(args))["Images"]
        if len(found) != 1 and not args.get("mostRecent"):
            raise CloudError(f"Your query returned {len(found)} results, and it must be one")
        newest = max(found, key=lambda each: each["CreationDate"])
        return {"id": newest["ImageId"], "name": newest["Name"], "architecture": newest["Architecture"]}

    def zones(args: Document) -> Document:
        found = ec2.describe_availability_zones()["AvailabilityZones"]
        there = [each for each in found if each["ZoneName"] not in cloud.faults.closed_zones]
        names = [each["ZoneName"] for each in there if each["State"] == args.get("state", "available")]
        return {"id": cloud.region, "names": names, "zoneIds": [each["ZoneId"] for each in found]}

    def subnets(args: Document) -> Document:
        found = ec2.describe_subnets(Filters=_filters(args))["Subnets"]
        return {"id": cloud.region, "ids": [each["SubnetId"] for each in found]}

    def subnet(args: Document) -> Document:
        [found] = ec2.describe_subnets(SubnetIds=[args["id"]])["Subnets"]
        return {"id": args["id"], "availabilityZone": found["AvailabilityZone"], "cidrBlock": found["CidrBlock"]}

    def zone(args: Document) -> Document:
        wanted = args["name"].rstrip(".")
        for each in cloud.client("route53").list_hosted_zones()["HostedZones"]:
            if each["Name"].rstrip(".") == wanted:
                id = each["Id"].rpartition("/")[2]
                return {"id": id, "zoneId": id, "name": wanted}
        raise CloudError(f"no matching Route 53 Hosted Zone found: {wanted}")

    return {
        "aws:ec2/getAmi:getAmi": ami,
        "aws:index/getAvailabilityZones:getAvailabilityZones": zones,
        "aws:ec2/getSubnets:getSubnets": subnets,
        "aws:ec2/getSubnet:getSubnet": subnet,
        "aws:route53/getZone:getZone": zone,
    }


def _filters(args: Document) -> list[Document]:
    return [{"Name": each["name"], "Values": each["values"]} for each in args.get("filters", [])]
