"""AWS: who may pass."""

from __future__ import annotations

from typing import Any

from tests.clouds.aws import Document, Resource
from tests.clouds.faults import CloudError
from tests.clouds.resource_schema import Kind, Name


class SecurityGroup(Resource):
    shows = False
    token = "aws:ec2/securityGroup:SecurityGroup"
    called = "security-group"
    kind = Kind(
        inputs={"name": str, "description": str, "vpcId": str, "tags": dict},
        outputs=("arn", "ownerId", "tagsAll"),
        replaces=("name", "description", "vpcId"),
        name=Name(limit=255, pattern=r"(?!sg-)[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]+"),
    )

    def make(self, inputs: Document) -> str:
        given = {"GroupName": inputs["name"], "Description": inputs.get("description", "Managed by Pulumi")}
        tags = self.tags(inputs)
        id: str = self.ec2.create_security_group(**given, VpcId=inputs["vpcId"], TagSpecifications=tags)["GroupId"]
        [made] = self.ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"]
        # A new group lets everything out, and the provider takes that away: who needs a way out must say so.
        self.ec2.revoke_security_group_egress(GroupId=id, IpPermissions=made["IpPermissionsEgress"])
        return id

    def live(self, id: str) -> Document | None:
        [found] = self.ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"]
        return {"name": found["GroupName"], "description": found["Description"], "ownerId": found["OwnerId"]}

    def drop(self, id: str) -> None:
        # AWS looks, and moto doesn't.
        groups = [{"Name": "instance.group-id", "Values": [id]}]
        alive = [*groups, {"Name": "instance-state-name", "Values": ["pending", "running", "stopped"]}]
        rules = self.ec2.describe_security_group_rules(MaxResults=1000)["SecurityGroupRules"]
        others = [each for each in rules if each.get("ReferencedGroupInfo", {}).get("GroupId") == id]
        balancers = self.cloud.client("elbv2").describe_load_balancers()["LoadBalancers"]
        used = self.ec2.describe_instances(Filters=alive)["Reservations"]
        used += [each for each in balancers if id in each.get("SecurityGroups", [])]
        if used or any(each["GroupId"] != id for each in others):
            raise CloudError(f"DependencyViolation: resource {id} has a dependent object")
        self.ec2.delete_security_group(GroupId=id)


# What AWS tells of a rule, and takes to change it.
_TOLD = {
    "ipProtocol": "IpProtocol", "fromPort": "FromPort", "toPort": "ToPort", "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6", "description": "Description",
}  # fmt: skip


class _GroupRule(Resource):
    called = "security-group-rule"
    egress: bool

    def make(self, inputs: Document) -> str:
        peers = [key for key in ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId") if key in inputs]
        if len(peers) != 1:
            raise CloudError("exactly one of cidrIpv4, cidrIpv6, prefixListId, referencedSecurityGroupId must be set")
        if "referencedSecurityGroupId" in inputs:
            self.ec2.describe_security_groups(GroupIds=[inputs["referencedSecurityGroupId"]])
        permission: dict[str, Any] = {"IpProtocol": inputs["ipProtocol"]}
        for ours, theirs in (("fromPort", "FromPort"), ("toPort", "ToPort")):
            if ours in inputs:
                permission[theirs] = int(inputs[ours])
        said = {"Description": inputs["description"]} if "description" in inputs else {}
        lists = {
            "cidrIpv4": ("IpRanges", "CidrIp"),
            "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
            "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
        }
        where, field = lists[peers[0]]
        permission[where] = [{field: inputs[peers[0]], **said}]
        way = "egress" if self.egress else "ingress"
        call = getattr(self.ec2, f"authorize_security_group_{way}")
        made = call(GroupId=inputs["securityGroupId"], IpPermissions=[permission])
        id: str = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        if not self.cloud.faults.untagged:
            self._tag(id, inputs)
        return id

    def _tag(self, id: str, inputs: Document) -> None:
        """By a call of its own, as the provider does it with rules alone."""
        if tags := self.plain_tags(inputs).get("Tags"):
            self.ec2.create_tags(Resources=[id], Tags=tags)

    def live(self, id: str) -> Document | None:
        found = self.ec2.describe_security_group_rules(SecurityGroupRuleIds=[id])["SecurityGroupRules"]
        if not found:
            return None
        told = {ours: found[0][theirs] for ours, theirs in _TOLD.items() if theirs in found[0]}
        every = {each["Key"]: each["Value"] for each in found[0].get("Tags", [])}
        tags = {key: value for key, value in every.items() if key not in self.cloud.default_tags}
        # Every protocol has every port, which is never said when it is made.
        told = {key: value for key, value in told.items() if value != -1}
        return {"securityGroupRuleId": id, "tags": tags, "tagsAll": every, **told}

    def change(self, id: str, olds: Document, news: Document, changed: set[str]) -> set[str]:
        self._tag(id, news)
        if not changed & set(_TOLD):
            return set()
        rule = {theirs: news[ours] for ours, theirs in _TOLD.items() if ours in news}
        rule |= {theirs: int(rule[theirs]) for theirs in ("FromPort", "ToPort") if theirs in rule}
        self.ec2.modify_security_group_rules(
            GroupId=news["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": id, "SecurityGroupRule": rule}],
        )
        return set(_TOLD)

    def drop(self, id: str) -> None:
        way = "egress" if self.egress else "ingress"
        given = self.cloud.given[type(self), id]
        call = getattr(self.ec2, f"revoke_security_group_{way}")
        call(GroupId=given["securityGroupId"], SecurityGroupRuleIds=[id])


_RULE = Kind(
    inputs={
        "securityGroupId!": str, "ipProtocol!": str, "fromPort": int, "toPort": int, "cidrIpv4": str, "cidrIpv6": str,
        "referencedSecurityGroupId": str, "description": str, "tags": dict,
    },
    outputs=("securityGroupRuleId", "arn", "tagsAll"),
    replaces=("securityGroupId",),
)  # fmt: skip


class IngressRule(_GroupRule):
    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    kind, egress = _RULE, False


class EgressRule(_GroupRule):
    token = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    kind, egress = _RULE, True


TYPES: list[type[Resource]] = [SecurityGroup, IngressRule, EgressRule]
