"""AWS: the provider's look-ups."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from tests.clouds.faults import CloudError
from tests.clouds.simulated_cloud import Document, Function

if TYPE_CHECKING:
    from tests.clouds.aws import SimulatedAws

# AWS's names of a rule's properties.
_RULE_PROPERTIES = {
    "securityGroupId": "GroupId", "isEgress": "IsEgress", "ipProtocol": "IpProtocol", "fromPort": "FromPort",
    "toPort": "ToPort", "cidrIpv4": "CidrIpv4", "cidrIpv6": "CidrIpv6",
}  # fmt: skip
# AWS's names of a route table association's properties.
_ASSOCIATION_PROPERTIES = {
    "routeTableAssociationId": "RouteTableAssociationId", "routeTableId": "RouteTableId", "subnetId": "SubnetId"
}  # fmt: skip


def functions(cloud: SimulatedAws) -> Mapping[str, Function]:
    """The look-ups by their token."""
    return {
        "aws:ec2/getAmi:getAmi": partial(_ami, cloud),
        "aws:ec2/getInstance:getInstance": partial(_instance, cloud),
        "aws:ec2/getRouteTable:getRouteTable": partial(_route_table, cloud),
        "aws:ec2/getSubnet:getSubnet": partial(_subnet, cloud),
        "aws:ec2/getSubnets:getSubnets": partial(_subnets, cloud),
        "aws:index/getAvailabilityZones:getAvailabilityZones": partial(_availability_zones, cloud),
        "aws:resourcegroupstaggingapi/getResources:getResources": partial(_tagged_resources, cloud),
        "aws:route53/getRecords:getRecords": partial(_records, cloud),
        "aws:route53/getZone:getZone": partial(_zone, cloud),
        "aws:vpc/getSecurityGroupRule:getSecurityGroupRule": partial(_rule, cloud),
        "aws:vpc/getSecurityGroupRules:getSecurityGroupRules": partial(_rules, cloud),
    }


def _ami(cloud: SimulatedAws, args: Document) -> Document:
    images = cloud.client("ec2").describe_images(Owners=args["owners"], Filters=_filters(args))["Images"]
    if len(images) != 1 and not args.get("mostRecent"):
        raise CloudError(f"Your query returned {len(images)} results, and it must be one")
    newest = max(images, key=lambda image: image["CreationDate"])
    return {"id": newest["ImageId"], "name": newest["Name"], "architecture": newest["Architecture"]}


def _instance(cloud: SimulatedAws, args: Document) -> Document:
    _check_arguments(args, "instanceId")
    id: str = args["instanceId"]
    ec2 = cloud.client("ec2")
    [reservation] = ec2.describe_instances(InstanceIds=[id])["Reservations"]
    addresses = ec2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [id]}])["Addresses"]
    elastic_addresses = [cloud.elastic_addresses[address["AllocationId"]] for address in addresses]
    auto_assigned_address = cloud.auto_assigned_addresses.get(id, "")
    return {
        "id": id,
        "instanceState": reservation["Instances"][0]["State"]["Name"],
        "publicIp": elastic_addresses[0] if elastic_addresses else auto_assigned_address,
    }


def _availability_zones(cloud: SimulatedAws, args: Document) -> Document:
    zones = cloud.client("ec2").describe_availability_zones()["AvailabilityZones"]
    listed_zones = [zone for zone in zones if zone["ZoneName"] not in cloud.faults.unlisted_zones]
    names = [zone["ZoneName"] for zone in listed_zones if zone["State"] == args.get("state", "available")]
    return {"id": cloud.region, "names": names, "zoneIds": [zone["ZoneId"] for zone in zones]}


def _subnets(cloud: SimulatedAws, args: Document) -> Document:
    subnets = cloud.client("ec2").describe_subnets(Filters=_filters(args))["Subnets"]
    return {"id": cloud.region, "ids": [subnet["SubnetId"] for subnet in subnets]}


def _subnet(cloud: SimulatedAws, args: Document) -> Document:
    [subnet] = cloud.client("ec2").describe_subnets(SubnetIds=[args["id"]])["Subnets"]
    return {"id": args["id"], "availabilityZone": subnet["AvailabilityZone"], "cidrBlock": subnet["CidrBlock"]}


def _zone(cloud: SimulatedAws, args: Document) -> Document:
    name = args["name"].rstrip(".")
    for zone in cloud.client("route53").list_hosted_zones()["HostedZones"]:
        if zone["Name"].rstrip(".") == name:
            id = zone["Id"].rpartition("/")[2]
            return {"id": id, "zoneId": id, "name": name}
    raise CloudError(f"no matching Route 53 Hosted Zone found: {name}")


def _rules(cloud: SimulatedAws, args: Document) -> Document:
    _check_arguments(args, "filters")
    rules = cloud.client("ec2").describe_security_group_rules(MaxResults=1000, Filters=_filters(args))
    return {"id": cloud.region, "ids": [rule["SecurityGroupRuleId"] for rule in rules["SecurityGroupRules"]]}


def _rule(cloud: SimulatedAws, args: Document) -> Document:
    _check_arguments(args, "securityGroupRuleId")
    id: str = args["securityGroupRuleId"]
    [rule] = cloud.client("ec2").describe_security_group_rules(SecurityGroupRuleIds=[id])["SecurityGroupRules"]
    properties = {key: rule.get(aws_key) for key, aws_key in _RULE_PROPERTIES.items()}
    peer_group = rule.get("ReferencedGroupInfo", {}).get("GroupId")
    return {"id": id, "securityGroupRuleId": id, **properties, "referencedSecurityGroupId": peer_group}


def _route_table(cloud: SimulatedAws, args: Document) -> Document:
    _check_arguments(args, "routeTableId")
    [table] = cloud.client("ec2").describe_route_tables(RouteTableIds=[args["routeTableId"]])["RouteTables"]
    associations = [
        {
            "gatewayId": "",
            "main": association["Main"],
            **{key: association.get(aws_key, "") for key, aws_key in _ASSOCIATION_PROPERTIES.items()},
        }
        for association in table["Associations"]
    ]
    return {"id": table["RouteTableId"], "routeTableId": table["RouteTableId"], "associations": associations}


def _records(cloud: SimulatedAws, args: Document) -> Document:
    _check_arguments(args, "zoneId")
    zone = args["zoneId"]
    records = cloud.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return {"id": zone, "zoneId": zone, "resourceRecordSets": [_record(record) for record in records]}


def _record(record: Document) -> Document:
    alias, target = record.get("AliasTarget"), None
    if alias:
        target = {
            "dnsName": alias["DNSName"],
            "hostedZoneId": alias["HostedZoneId"],
            "evaluateTargetHealth": alias["EvaluateTargetHealth"],
        }
    return {
        "name": record["Name"],
        "type": record["Type"],
        "ttl": record.get("TTL", 0),
        "resourceRecords": [{"value": entry["Value"]} for entry in record.get("ResourceRecords", [])],
        "aliasTarget": target,
    }


def _tagged_resources(cloud: SimulatedAws, args: Document) -> Document:
    """The resources with these tags: those that moto lists, those that it leaves out, and deleted ones."""
    _check_arguments(args, "tagFilters")
    accepted_values = {tag_filter["key"]: tag_filter["values"] for tag_filter in args["tagFilters"]}
    filters = [{"Key": key, "Values": values} for key, values in accepted_values.items()]
    pages = cloud.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=filters)
    mappings = [mapping for page in pages for mapping in page["ResourceTagMappingList"]]
    tag_lists = {mapping["ResourceARN"]: mapping["Tags"] for mapping in mappings} | _tags_that_moto_omits(cloud)
    tags_by_arn = {arn: {tag["Key"]: tag["Value"] for tag in tags} for arn, tags in tag_lists.items()}
    matches = [
        {"resourceArn": arn, "tags": tags, "complianceDetails": []}
        for arn, tags in {**cloud.deleted_tags, **tags_by_arn}.items()
        if all(tags.get(key) in values for key, values in accepted_values.items())
    ]
    return {"id": cloud.region, "resourceTagMappingLists": matches}


def _tags_that_moto_omits(cloud: SimulatedAws) -> dict[str, list[Document]]:
    """The tags of addresses, rules and listeners, by ARN."""
    ec2, elb = cloud.client("ec2"), cloud.client("elbv2")
    prefix = f"arn:aws:ec2:{cloud.region}:{cloud.account}"
    tags: dict[str, list[Document]] = {}
    for address in ec2.describe_addresses()["Addresses"]:
        tags[f"{prefix}:elastic-ip/{address['AllocationId']}"] = address.get("Tags", [])
    for rule in ec2.describe_security_group_rules(MaxResults=1000)["SecurityGroupRules"]:
        tags[f"{prefix}:security-group-rule/{rule['SecurityGroupRuleId']}"] = rule.get("Tags", [])
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        for listener in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]:
            arn = listener["ListenerArn"]
            tags[arn] = elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]
    return tags


def _check_arguments(args: Document, *names: str) -> None:
    """Refuse arguments that have other names."""
    if unsupported := set(args) - set(names):
        raise CloudError(f"this cloud doesn't know the arguments {', '.join(sorted(unsupported))}")


def _filters(args: Document) -> list[Document]:
    return [{"Name": entry["name"], "Values": entry["values"]} for entry in args.get("filters", [])]
