"""How AWS is asked for what it has made unheard: which way for which type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
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
}
# Made first and tagged afterwards, so by the group that they are of and what they admit, of which a group has no two.
RULES = {
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "egress",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "ingress",
}
_KINDS = TAGGED | dict.fromkeys(RULES, "ec2:security-group-rule")
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
    """What only AWS knows: who has these tags, and what is in these route tables, groups and zones."""

    region: str
    # Of the stack's provider.
    version: str
    tags: dict[str, str]
    tables: list[str]
    groups: list[str]
    zones: list[str]


def question(deployment: Mapping[str, Any], waiting: list[Pending]) -> Question | None:
    """Asked of the account and region of the stack's own provider; nothing where the stack isn't that far."""
    for each in resources(deployment):
        given = each.get("inputs", {})
        if each["type"] == "pulumi:providers:aws" and "defaultTags" in given and not each.get("delete"):
            return Question(
                region=given["region"],
                version=given["version"],
                tags=json.loads(given["defaultTags"])["tags"],
                tables=sorted({one.inputs["routeTableId"] for one in waiting if one.type == ASSOCIATION}),
                groups=sorted({one.inputs["securityGroupId"] for one in waiting if one.type in RULES}),
                zones=sorted({one.inputs["zoneId"] for one in waiting if one.type == RECORD}),
            )
    return None


@dataclass(frozen=True)
class Aws:
    """What AWS has answered, as tools/recover/lookup wrote it down."""

    tagged: list[Document] = field(default_factory=list[Document])
    associations: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    rules: dict[str, list[Document]] = field(default_factory=dict[str, list[Document]])
    records: dict[str, list[Document]] = field(default_factory=dict[str, list[Document]])

    def unverified(self, known: Collection[str]) -> list[tuple[str, str]]:
        """Type and id of all with the tags that may be gone: AWS lists for hours what is deleted."""
        things = [(kind, id) for id, kind, _, _ in self._things() if id not in known]
        return [(type_, id) for kind, id in things for type_ in _KINDS if _KINDS[type_] == kind]

    def only(self, there: Collection[str]) -> Aws:
        """The answer without what is gone."""
        arns = {arn for id, _, _, arn in self._things() if id in there}
        return replace(self, tagged=[each for each in self.tagged if each["arn"] in arns])

    def candidates(self, each: Pending) -> set[str]:
        if name := NAMED.get(each.type):
            return {name(each.inputs)}
        if each.type == ASSOCIATION:
            of_table = self.associations.get(each.inputs["routeTableId"], {})
            return {id for subnet, id in of_table.items() if subnet == each.inputs.get("subnetId")}
        if each.type in RULES:
            there = self.rules.get(each.inputs["securityGroupId"], [])
            wanted = (RULES[each.type] == "egress", _admitted(each.inputs))
            return {one["id"] for one in there if (one["egress"], _admitted(one)) == wanted}
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
            if kind in _KINDS.values():
                yield id, kind, each["tags"].get("Name"), each["arn"]


def _admitted(rule: Document) -> tuple[list[str], list[int]]:
    """Who and what, in one spelling; without ports it is all of them."""
    words = ("ipProtocol", "cidrIpv4", "cidrIpv6", "referencedSecurityGroupId")
    ports = [rule.get(key) for key in ("fromPort", "toPort")]
    return [str(rule.get(key) or "") for key in words], [-1 if each is None else int(each) for each in ports]


def _record_id(inputs: Document) -> str:
    return f"{inputs['zoneId']}_{inputs['name'].rstrip('.')}_{inputs['type']}"


def _record(given: Document) -> tuple[str, str, list[str]]:
    """Name, type and what it leads to, in one spelling."""
    leads_to = [*given.get("records", ()), *(alias["name"] for alias in given.get("aliases", ()))]
    return given["name"].rstrip("."), given["type"], sorted(each.rstrip(".").lower() for each in leads_to)
