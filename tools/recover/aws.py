"""Finds resources that AWS created but Pulumi didn't record, in one way for each type."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tools.recover.state import Document, Pending, resources

# Found by the stack's tags. The values are service and kind in the ARN. Within a kind, the tag Name is unique.
TAGGED = {
    "aws:acm/certificate:Certificate": "acm:certificate",
    "aws:dlm/lifecyclePolicy:LifecyclePolicy": "dlm:policy",
    "aws:ebs/volume:Volume": "ec2:volume",
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
# The provider tags them only after their creation, so they are found by their group and what they allow. A group can't
# have two rules that allow the same.
RULES = {
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "egress",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "ingress",
}
_KINDS = TAGGED | dict.fromkeys(RULES, "ec2:security-group-rule")


def _route_id(inputs: Document) -> str:
    """The id that the provider gives to a route: the table's id and a checksum of the destination."""
    return f"r-{inputs['routeTableId']}{zlib.crc32(inputs['destinationCidrBlock'].encode())}"


# Their id follows from their inputs. The refresh finds out whether they exist.
NAMED: dict[str, Callable[[Document], str]] = {
    "aws:ec2/keyPair:KeyPair": lambda inputs: inputs["keyName"],
    "aws:ec2/route:Route": _route_id,
    "aws:iam/instanceProfile:InstanceProfile": lambda inputs: inputs["name"],
    "aws:iam/role:Role": lambda inputs: inputs["name"],
    "aws:iam/rolePolicy:RolePolicy": lambda inputs: f"{inputs['role']}:{inputs['name']}",
    "aws:s3/bucket:Bucket": lambda inputs: inputs["bucket"],
}
# Found in its route table.
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
# Found in its zone, by its values, too: a record of the same name may not be this stack's.
RECORD = "aws:route53/record:Record"
# Not looked for: creating them a second time changes nothing.
REPEATABLE = {
    "aws:acm/certificateValidation:CertificateValidation",
    "aws:ec2/eipAssociation:EipAssociation",
    "aws:ec2/volumeAttachment:VolumeAttachment",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:lb/targetGroupAttachment:TargetGroupAttachment",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
}
# For these services the ARN is the id. For the others the id is the ARN's last part.
_SERVICES_WITH_ARN_AS_ID = ("acm", "elasticloadbalancing")


@dataclass(frozen=True, kw_only=True)
class Query:
    """What to look up in AWS: resources with these tags, and the contents of these route tables, groups and zones."""

    region: str
    # The version of the stack's own provider.
    version: str
    tags: dict[str, str]
    tables: list[str]
    groups: list[str]
    zones: list[str]


def query_for(deployment: Mapping[str, Any], creates: list[Pending]) -> Query | None:
    """The query for the region of the stack's own provider; None if the state doesn't have this provider."""
    for resource in resources(deployment):
        inputs = resource.get("inputs", {})
        if resource["type"] == "pulumi:providers:aws" and "defaultTags" in inputs and not resource.get("delete"):
            return Query(
                region=inputs["region"],
                version=inputs["version"],
                tags=json.loads(inputs["defaultTags"])["tags"],
                tables=sorted({create.inputs["routeTableId"] for create in creates if create.type == ASSOCIATION}),
                groups=sorted({create.inputs["securityGroupId"] for create in creates if create.type in RULES}),
                zones=sorted({create.inputs["zoneId"] for create in creates if create.type == RECORD}),
            )
    return None


@dataclass(frozen=True)
class Inventory:
    """The resources in AWS, as tools/recover/lookup has recorded them."""

    tagged: list[Document] = field(default_factory=list[Document])
    associations: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    rules: dict[str, list[Document]] = field(default_factory=dict[str, list[Document]])
    records: dict[str, list[Document]] = field(default_factory=dict[str, list[Document]])

    def possibly_deleted(self, known_ids: Collection[str]) -> list[tuple[str, str]]:
        """Type and id of all tagged resources outside the state: AWS lists deleted ones for hours."""
        unknown = [(kind, id) for id, kind, _, _ in self._tagged_resources() if id not in known_ids]
        return [(type_, id) for kind, id in unknown for type_ in _KINDS if _KINDS[type_] == kind]

    def only(self, existing_ids: Collection[str]) -> Inventory:
        """The inventory without tagged resources that don't exist any more."""
        arns = {arn for id, _, _, arn in self._tagged_resources() if id in existing_ids}
        return replace(self, tagged=[resource for resource in self.tagged if resource["arn"] in arns])

    def candidates(self, create: Pending) -> set[str]:
        """The ids of all resources that this create may have made."""
        inputs = create.inputs
        if id_of := NAMED.get(create.type):
            return {id_of(inputs)}
        if create.type == ASSOCIATION:
            in_table = self.associations.get(inputs["routeTableId"], {})
            return {id for subnet, id in in_table.items() if subnet == inputs.get("subnetId")}
        if create.type in RULES:
            in_group = self.rules.get(inputs["securityGroupId"], [])
            key = (RULES[create.type] == "egress", _rule_key(inputs))
            return {rule["id"] for rule in in_group if (rule["egress"], _rule_key(rule)) == key}
        if create.type == RECORD:
            in_zone = self.records.get(inputs["zoneId"], [])
            return {_record_id(inputs) for record in in_zone if _record_key(record) == _record_key(inputs)}
        if create.type not in TAGGED:
            return set()
        key = (TAGGED[create.type], inputs.get("tags", {}).get("Name"))
        return {id for id, kind, name, _ in self._tagged_resources() if (kind, name) == key}

    def untracked(self, known_ids: set[str]) -> list[str]:
        """The ARNs of resources that have the stack's tags but aren't in its state."""
        return sorted(arn for id, _, _, arn in self._tagged_resources() if id not in known_ids)

    def listing_command(self, query: Query) -> str:
        """The command with which the operator lists all resources with the stack's tags."""
        filters = " ".join(f"Key={key},Values={value}" for key, value in query.tags.items())
        return f"aws resourcegroupstaggingapi get-resources --region {query.region} --tag-filters {filters}"

    def _tagged_resources(self) -> Iterator[tuple[str, str, str | None, str]]:
        """Id, kind, Name and ARN of each tagged resource, of the kinds that Gantry creates."""
        for resource in self.tagged:
            _, _, service, _, _, path = resource["arn"].split(":", 5)
            words = re.split("[/:]", path)
            id = resource["arn"] if service in _SERVICES_WITH_ARN_AS_ID else words[-1]
            kind = f"{service}:{words[0]}"
            if kind in _KINDS.values():
                yield id, kind, resource["tags"].get("Name"), resource["arn"]


def _rule_key(rule: Document) -> tuple[list[str], list[int]]:
    """What the rule allows, in one spelling; a missing port means all ports."""
    texts = ("ipProtocol", "cidrIpv4", "cidrIpv6", "referencedSecurityGroupId")
    ports = [rule.get(key) for key in ("fromPort", "toPort")]
    return [str(rule.get(key) or "") for key in texts], [-1 if port is None else int(port) for port in ports]


def _record_id(inputs: Document) -> str:
    return f"{inputs['zoneId']}_{inputs['name'].rstrip('.')}_{inputs['type']}"


def _record_key(record: Document) -> tuple[str, str, list[str]]:
    """Name, type and values of the record, in one spelling."""
    values = [*record.get("records", ()), *(alias["name"] for alias in record.get("aliases", ()))]
    return record["name"].rstrip("."), record["type"], sorted(value.rstrip(".").lower() for value in values)
