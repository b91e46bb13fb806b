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

    def rules(args: Document) -> Document:
        found = ec2.describe_security_group_rules(MaxResults=1000, Filters=_filters(_only(args, "filters")))
        return {"id": cloud.region, "ids": [each["SecurityGroupRuleId"] for each in found["SecurityGroupRules"]]}

    def rule(args: Document) -> Document:
        id: str = _only(args, "securityGroupRuleId")["securityGroupRuleId"]
        [found] = ec2.describe_security_group_rules(SecurityGroupRuleIds=[id])["SecurityGroupRules"]
        named = {
            "securityGroupId": "GroupId", "isEgress": "IsEgress", "ipProtocol": "IpProtocol", "fromPort": "FromPort",
            "toPort": "ToPort", "cidrIpv4": "CidrIpv4", "cidrIpv6": "CidrIpv6",
        }  # fmt: skip
        told = {ours: found.get(theirs) for ours, theirs in named.items()}
        peer = found.get("ReferencedGroupInfo", {}).get("GroupId")
        return {"id": id, "securityGroupRuleId": id, **told, "referencedSecurityGroupId": peer}

    def table(args: Document) -> Document:
        _only(args, "routeTableId")
        [found] = ec2.describe_route_tables(RouteTableIds=[args["routeTableId"]])["RouteTables"]
        named = {
            "routeTableAssociationId": "RouteTableAssociationId", "routeTableId": "RouteTableId", "subnetId": "SubnetId"
        }  # fmt: skip
        associations = [
            {"gatewayId": "", "main": each["Main"], **{ours: each.get(theirs, "") for ours, theirs in named.items()}}
            for each in found["Associations"]
        ]
        return {"id": found["RouteTableId"], "routeTableId": found["RouteTableId"], "associations": associations}

    def records(args: Document) -> Document:
        zone = _only(args, "zoneId")["zoneId"]
        told = cloud.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return {"id": zone, "zoneId": zone, "resourceRecordSets": [_record(each) for each in told]}

    return {
        "aws:route53/getRecords:getRecords": records,
        "aws:resourcegroupstaggingapi/getResources:getResources": lambda args: _tagged(cloud, args),
        "aws:vpc/getSecurityGroupRules:getSecurityGroupRules": rules,
        "aws:vpc/getSecurityGroupRule:getSecurityGroupRule": rule,
        "aws:ec2/getRouteTable:getRouteTable": table,
        "aws:ec2/getAmi:getAmi": ami,
        "aws:index/getAvailabilityZones:getAvailabilityZones": zones,
        "aws:ec2/getSubnets:getSubnets": subnets,
        "aws:ec2/getSubnet:getSubnet": subnet,
        "aws:route53/getZone:getZone": zone,
    }


def _tagged(cloud: Aws, args: Document) -> Document:
    """What has these tags, as moto says, what moto leaves out, and what had them when it was deleted."""
    given = {each["key"]: each["values"] for each in _only(args, "tagFilters")["tagFilters"]}
    filters = [{"Key": key, "Values": values} for key, values in given.items()]
    pages = cloud.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=filters)
    found = {each["ResourceARN"]: each["Tags"] for page in pages for each in page["ResourceTagMappingList"]}
    plain = {arn: {tag["Key"]: tag["Value"] for tag in tags} for arn, tags in {**found, **_left_out(cloud)}.items()}
    plain = {**cloud.deleted, **plain}
    mappings = [
        {"resourceArn": arn, "tags": tags, "complianceDetails": []}
        for arn, tags in plain.items()
        if all(tags.get(key) in values for key, values in given.items())
    ]
    return {"id": cloud.region, "resourceTagMappingLists": mappings}


def _left_out(cloud: Aws) -> dict[str, list[Document]]:
    ec2, elb = cloud.client("ec2"), cloud.client("elbv2")
    own = f"arn:aws:ec2:{cloud.region}:{cloud.account}"
    addresses = ec2.describe_addresses()["Addresses"]
    found = {f"{own}:elastic-ip/{each['AllocationId']}": each.get("Tags", []) for each in addresses}
    for each in ec2.describe_security_group_rules(MaxResults=1000)["SecurityGroupRules"]:
        found[f"{own}:security-group-rule/{each['SecurityGroupRuleId']}"] = each.get("Tags", [])
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        for each in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]:
            arn = each["ListenerArn"]
            found[arn] = elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]
    return found


def _record(found: Document) -> Document:
    alias = found.get("AliasTarget")
    target = {"dnsName": alias["DNSName"], "hostedZoneId": alias["HostedZoneId"]} if alias else None
    return {
        "name": found["Name"],
        "type": found["Type"],
        "ttl": found.get("TTL", 0),
        "resourceRecords": [{"value": each["Value"]} for each in found.get("ResourceRecords", [])],
        "aliasTarget": {**target, "evaluateTargetHealth": alias["EvaluateTargetHealth"]} if alias and target else None,
    }


def _only(args: Document, *known: str) -> Document:
    """The arguments, of which no others are taken."""
    if unknown := set(args) - set(known):
        raise CloudError(f"this cloud doesn't know the arguments {', '.join(sorted(unknown))}")
    return args


def _filters(args: Document) -> list[Document]:
    return [{"Name": each["name"], "Values": each["values"]} for each in args.get("filters", [])]
