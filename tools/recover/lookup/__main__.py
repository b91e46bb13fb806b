"""Looks up query.json in AWS, with the credentials of the stack's own provider, and writes inventory.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

FOLDER = Path(__file__).resolve().parent

query = json.loads((FOLDER / "query.json").read_text())
provider = aws.Provider("lookup", region=query["region"])
opts = pulumi.InvokeOptions(provider=provider)


def rules_in(group: str) -> list[dict[str, Any]]:
    filters = [aws.vpc.GetSecurityGroupRulesFilterArgs(name="group-id", values=[group])]
    ids = aws.vpc.get_security_group_rules(filters=filters, opts=opts).ids
    rules = [aws.vpc.get_security_group_rule(security_group_rule_id=id, opts=opts) for id in ids]
    return [
        {
            "id": rule.security_group_rule_id,
            "egress": rule.is_egress,
            "ipProtocol": rule.ip_protocol,
            "fromPort": rule.from_port,
            "toPort": rule.to_port,
            "cidrIpv4": rule.cidr_ipv4,
            "cidrIpv6": rule.cidr_ipv6,
            "referencedSecurityGroupId": rule.referenced_security_group_id,
        }
        for rule in rules
    ]


tag_filters = [
    aws.resourcegroupstaggingapi.GetResourcesTagFilterArgs(key=key, values=[value])
    for key, value in query["tags"].items()
]
tagged = aws.resourcegroupstaggingapi.get_resources(tag_filters=tag_filters, opts=opts).resource_tag_mapping_lists
associations = {
    table: {
        association.subnet_id: association.route_table_association_id
        for association in aws.ec2.get_route_table(route_table_id=table, opts=opts).associations
    }
    for table in query["tables"]
}
records = {
    zone: [
        {
            "name": record.name,
            "type": record.type,
            "records": [value.value for value in record.resource_records or ()],
            "aliases": [{"name": record.alias_target.dns_name}] if record.alias_target else [],
        }
        for record in aws.route53.get_records(zone_id=zone, opts=opts).resource_record_sets
    ]
    for zone in query["zones"]
}
inventory = {
    "tagged": [{"arn": resource.resource_arn, "tags": dict(resource.tags)} for resource in tagged],
    "associations": associations,
    "rules": {group: rules_in(group) for group in query["groups"]},
    "records": records,
}
(FOLDER / "inventory.json").write_text(json.dumps(inventory))
