"""Asks AWS, with the login that the stack's own provider has, and writes down the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

HERE = Path(__file__).resolve().parent

asked = json.loads((HERE / "question.json").read_text())
provider = aws.Provider("asked", region=asked["region"])
opts = pulumi.InvokeOptions(provider=provider)


def rules(group: str) -> list[dict[str, Any]]:
    of_group = [aws.vpc.GetSecurityGroupRulesFilterArgs(name="group-id", values=[group])]
    ids = aws.vpc.get_security_group_rules(filters=of_group, opts=opts).ids
    found = [aws.vpc.get_security_group_rule(security_group_rule_id=each, opts=opts) for each in ids]
    return [
        {
            "id": each.security_group_rule_id,
            "egress": each.is_egress,
            "ipProtocol": each.ip_protocol,
            "fromPort": each.from_port,
            "toPort": each.to_port,
            "cidrIpv4": each.cidr_ipv4,
            "cidrIpv6": each.cidr_ipv6,
            "referencedSecurityGroupId": each.referenced_security_group_id,
        }
        for each in found
    ]


filters = [
    aws.resourcegroupstaggingapi.GetResourcesTagFilterArgs(key=key, values=[value])
    for key, value in asked["tags"].items()
]
tagged = aws.resourcegroupstaggingapi.get_resources(tag_filters=filters, opts=opts).resource_tag_mapping_lists
associations = {
    table: {
        each.subnet_id: each.route_table_association_id
        for each in aws.ec2.get_route_table(route_table_id=table, opts=opts).associations
    }
    for table in asked["tables"]
}
records = {
    zone: [
        {
            "name": each.name,
            "type": each.type,
            "records": [one.value for one in each.resource_records or ()],
            "aliases": [{"name": each.alias_target.dns_name}] if each.alias_target else [],
        }
        for each in aws.route53.get_records(zone_id=zone, opts=opts).resource_record_sets
    ]
    for zone in asked["zones"]
}
answer = {
    "tagged": [{"arn": each.resource_arn, "tags": dict(each.tags)} for each in tagged],
    "associations": associations,
    "rules": {group: rules(group) for group in asked["groups"]},
    "records": records,
}
(HERE / "answer.json").write_text(json.dumps(answer))
