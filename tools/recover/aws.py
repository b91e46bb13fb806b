"""How AWS is asked for what it has made unheard: which way for which type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.recover.state import Document, Pending, resources

# The service and the kind of thing in the ARNs of what has this stack's tags. Name tells things of a kind apart.
TAGGED = {
    "aws:acm/certificate:Certificate": "acm:certificate",
    "aws:ec2/eip:Eip": "ec2:elastic-ip",
    "aws:ec2/instance:Instance": "ec2:instance",
    "aws:ec2/internetGateway:InternetGateway": "ec2:internet-gateway",
    "aws:ec2/routeTable:RouteTable": "ec2:route-table",
    "aws:ec2/securityGroup:SecurityGroup": "ec2:security-group",
    "aws:ec2/subnet:Subnet": "ec2:subnet",
    "aws:ec2/vpc:Vpc": "ec2:vpc",
    "aws:lb/listener:Listener": "elasticloadbalancing:listener",
    "aws:lb/loadBalancer:LoadBalancer": "elasticloadbalancing:loadbalancer",
    "aws:lb/targetGroup:TargetGroup": "elasticloadbalancing:targetgroup",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "ec2:security-group-rule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "ec2:security-group-rule",
}
# Their id follows from their inputs. Whether they are there, the refresh finds out.
NAMED: dict[str, Callable[[Document], str]] = {
    "aws:ec2/keyPair:KeyPair": lambda inputs: inputs["keyName"],
    "aws:ec2/route:Route": lambda inputs: f"{inputs['routeTableId']}_{inputs['destinationCidrBlock']}",
    "aws:iam/instanceProfile:InstanceProfile": lambda inputs: inputs["name"],
    "aws:iam/role:Role": lambda inputs: inputs["name"],
    "aws:s3/bucket:Bucket": lambda inputs: inputs["bucket"],
}
# Of its route table.
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
# Of its zone, with what it leads to: one of the same name may be somebody else's.
RECORD = "aws:route53/record:Record"
# Made again they are what they were: AWS is told the same once more.
REPEATABLE = {
    "aws:acm/certificateValidation:CertificateValidation",
    "aws:ec2/eipAssociation:EipAssociation",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:lb/targetGroupAttachment:TargetGroupAttachment",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
}
# Their ARN is their id; of the others it is the ARN's last part.
_BY_ARN = ("acm", "elasticloadbalancing")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What only AWS knows: who has these tags, and what is in these route tables and zones."""

    region: str
    tags: dict[str, str]
    tables: list[str]
    zones: list[str]


def question(deployment: Mapping[str, Any], waiting: list[Pending]) -> Question | None:
    """Asked of the account and region of the stack's own provider; nothing where the stack isn't that far."""
    for each in resources(deployment):
        given = each.get("inputs", {})
        if each["type"] == "pulumi:providers:aws" and "defaultTags" in given and not each.get("delete"):
            return Question(
                region=given["region"],
                tags=json.loads(given["defaultTags"])["tags"],
                tables=sorted({one.inputs["routeTableId"] for one in waiting if one.type == ASSOCIATION}),
                zones=sorted({one.inputs["zoneId"] for one in waiting if one.type == RECORD}),
            )
    return None


@dataclass(frozen=True)
class Aws:
    """What AWS has answered, as tools/recover/lookup wrote it down."""

    tagged: list[Document] = field(default_factory=list[Document])
    alive: list[str] = field(default_factory=list[str])
    associations: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    records: dict[str, list[Document]] = field(default_factory=dict[str, list[Document]])

    def candidates(self, each: Pending) -> set[str]:
        if name := NAMED.get(each.type):
            return {name(each.inputs)}
        if each.type == ASSOCIATION:
            of_table = self.associations.get(each.inputs["routeTableId"], {})
            return {id for subnet, id in of_table.items() if subnet == each.inputs.get("subnetId")}
        if each.type == RECORD:
            there = self.records.get(each.inputs["zoneId"], [])
            return {_record_id(each.inputs) for one in there if _record(one) == _record(each.inputs)}
        if each.type not in TAGGED:
            return set()
        wanted = (TAGGED[each.type], each.inputs.get("tags", {}).get("Name"))
        return {id for id, kind, name, _ in self._things() if (kind, name) == wanted}

    def strays(self, known: set[str]) -> list[str]:
        """What has the stack's tags, and isn't in the state."""
        return sorted(arn for id, _, _, arn in self._things() if id not in known)

    def how_to_look(self, asked: Question) -> str:
        filters = " ".join(f"Key={key},Values={value}" for key, value in asked.tags.items())
        return f"aws resourcegroupstaggingapi get-resources --region {asked.region} --tag-filters {filters}"

    def _things(self) -> Iterator[tuple[str, str, str | None, str]]:
        """Id, kind, Name and ARN of each that is of a type of ours."""
        for each in self.tagged:
            service, rest = (part := each["arn"].split(":", 5))[2], part[5]
            words = re.split("[/:]", rest)
            kind, id = f"{service}:{words[0]}", each["arn"] if service in _BY_ARN else words[-1]
            # A terminated instance keeps its tags for an hour.
            if kind in TAGGED.values() and (kind != "ec2:instance" or id in self.alive):
                yield id, kind, each["tags"].get("Name"), each["arn"]


def _record_id(inputs: Document) -> str:
    return f"{inputs['zoneId']}_{inputs['name'].rstrip('.')}_{inputs['type']}"


def _record(given: Document) -> tuple[str, str, list[str]]:
    """Name, type and what it leads to, in one spelling."""
    leads_to = [*given.get("records", ()), *(alias["name"] for alias in given.get("aliases", ()))]
    return given["name"].rstrip("."), given["type"], sorted(each.rstrip(".").lower() for each in leads_to)
