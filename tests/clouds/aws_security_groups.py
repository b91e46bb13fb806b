"""AWS: security groups and their rules."""

from __future__ import annotations

from tests.clouds import aws_rules
from tests.clouds.aws_resource import AwsResource, NotFound
from tests.clouds.faults import CloudError
from tests.clouds.input_rules import at_most, between
from tests.clouds.resource_schema import NameInput, ResourceSchema
from tests.clouds.simulated_cloud import Document
from tools.offline.command_plugin.values import Properties


class SecurityGroup(AwsResource, module="ec2"):
    ec2_name = "security-group"
    schema = ResourceSchema(
        inputs={"name": str, "description": str, "vpcId": str, "tags": dict},
        outputs=("arn", "ownerId", "tagsAll"),
        replaces=("name", "description", "vpcId"),
        name=NameInput(limit=255, pattern=r"(?!sg-)[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]+"),
        computed=("vpcId",),
        defaults={"description": "Managed by Pulumi"},
        rules={"description": at_most(255)},
    )

    def api_create(self, inputs: Document) -> str:
        response = self.ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs["vpcId"],
            TagSpecifications=self.ec2_tags(inputs),
        )
        id: str = response["GroupId"]
        [group] = self.ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"]
        # AWS lets a new group send everything. The provider removes that rule, so a program declares its own.
        self.ec2.revoke_security_group_egress(GroupId=id, IpPermissions=group["IpPermissionsEgress"])
        return id

    def api_read(self, id: str) -> Document | None:
        [group] = self.ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"]
        return {"name": group["GroupName"], "description": group["Description"], "ownerId": group["OwnerId"]}

    def api_delete(self, id: str) -> None:
        # AWS refuses to delete a group that is in use, and moto doesn't.
        instances = self.ec2.describe_instances(
            Filters=[
                {"Name": "instance.group-id", "Values": [id]},
                {"Name": "instance-state-name", "Values": ["pending", "running", "stopped"]},
            ]
        )["Reservations"]
        balancers = self.cloud.client("elbv2").describe_load_balancers()["LoadBalancers"]
        rules = self.ec2.describe_security_group_rules(MaxResults=1000)["SecurityGroupRules"]
        is_used_by_balancer = any(id in balancer.get("SecurityGroups", []) for balancer in balancers)
        is_used_by_other_group = any(
            rule.get("ReferencedGroupInfo", {}).get("GroupId") == id and rule["GroupId"] != id for rule in rules
        )
        if instances or is_used_by_balancer or is_used_by_other_group:
            raise CloudError(f"DependencyViolation: resource {id} has a dependent object")
        self.ec2.delete_security_group(GroupId=id)


# The inputs of a rule that AWS returns and can change, with AWS's names.
_MUTABLE_INPUTS = {
    "ipProtocol": "IpProtocol", "fromPort": "FromPort", "toPort": "ToPort", "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6", "description": "Description",
}  # fmt: skip
# By the input that names the peer: where AWS's permission has it.
_PEER_FIELDS = {
    "cidrIpv4": ("IpRanges", "CidrIp"),
    "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListId": ("PrefixListIds", "PrefixListId"),
    "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
}


class _RuleSchema(ResourceSchema):
    """A rule can get another peer in place. A peer of another kind, such as a group after a network, replaces it."""

    def diff(self, olds: Properties, news: Properties) -> tuple[list[str], list[str]]:
        changes, replaces = super().diff(olds, news)
        kinds = [[peer for peer in _PEER_FIELDS if inputs.get(peer) is not None] for inputs in (olds, news)]
        if kinds[0] != kinds[1]:
            replaces = [key for key in changes if key in (*replaces, *_PEER_FIELDS)]
        return changes, replaces


class _GroupRule(AwsResource):
    affects_topology = True
    ec2_name = "security-group-rule"
    # "ingress" or "egress".
    direction: str
    schema = _RuleSchema(
        inputs={
            "securityGroupId!": str, "ipProtocol!": str, "fromPort": int, "toPort": int, "cidrIpv4": str,
            "cidrIpv6": str, "prefixListId": str, "referencedSecurityGroupId": str, "description": str, "tags": dict,
        },
        outputs=("securityGroupRuleId", "arn", "tagsAll"),
        replaces=("securityGroupId",),
        spellings={"ipProtocol": aws_rules.protocol},
        rules={
            "": aws_rules.exactly_one_of(*_PEER_FIELDS),
            "cidrIpv4": aws_rules.network(4), "cidrIpv6": aws_rules.network(6),
            "fromPort": between(-1, 65535), "toPort": between(-1, 65535),
        },
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        [peer] = [key for key in _PEER_FIELDS if key in inputs]
        if "referencedSecurityGroupId" in inputs:
            self.ec2.describe_security_groups(GroupIds=[inputs["referencedSecurityGroupId"]])
        authorize = getattr(self.ec2, f"authorize_security_group_{self.direction}")
        response = authorize(GroupId=inputs["securityGroupId"], IpPermissions=[_permission(inputs, peer)])
        id: str = response["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        if not self.cloud.faults.tags_are_lost:
            self._create_tags(id, inputs)
        return id

    def api_read(self, id: str) -> Document | None:
        rules = self.ec2.describe_security_group_rules(SecurityGroupRuleIds=[id])["SecurityGroupRules"]
        if not rules:
            return None
        [rule] = rules
        all_tags = {tag["Key"]: tag["Value"] for tag in rule.get("Tags", [])}
        own_tags = {key: value for key, value in all_tags.items() if key not in self.cloud.default_tags}
        inputs = {key: rule[aws_key] for key, aws_key in _MUTABLE_INPUTS.items() if aws_key in rule}
        # AWS returns the port -1 for a rule about all protocols. Programs don't set a port there.
        inputs = {key: value for key, value in inputs.items() if value != -1}
        return {"securityGroupRuleId": id, "tags": own_tags, "tagsAll": all_tags, **inputs}

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        self._create_tags(id, news)
        if not changes & set(_MUTABLE_INPUTS):
            return set()
        rule = {aws_key: news[key] for key, aws_key in _MUTABLE_INPUTS.items() if key in news}
        rule |= {key: int(rule[key]) for key in ("FromPort", "ToPort") if key in rule}
        self.ec2.modify_security_group_rules(
            GroupId=news["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": id, "SecurityGroupRule": rule}],
        )
        return set(_MUTABLE_INPUTS)

    def api_delete(self, id: str) -> None:
        inputs = self.cloud.recorded_inputs.get((type(self), id))
        if inputs is None:
            raise NotFound(f"{id} doesn't exist")
        revoke = getattr(self.ec2, f"revoke_security_group_{self.direction}")
        revoke(GroupId=inputs["securityGroupId"], SecurityGroupRuleIds=[id])

    def _create_tags(self, id: str, inputs: Document) -> None:
        """The provider sends the tags of a rule in a separate call; those of other resources come with the create."""
        if tags := self.service_tags(inputs).get("Tags"):
            self.ec2.create_tags(Resources=[id], Tags=tags)


def _permission(inputs: Document, peer: str) -> Document:
    """The rule as AWS takes it. ``peer`` is the input that says from or to where."""
    permission: Document = {"IpProtocol": inputs["ipProtocol"]}
    for key, aws_key in (("fromPort", "FromPort"), ("toPort", "ToPort")):
        if key in inputs:
            permission[aws_key] = int(inputs[key])
    description = {"Description": inputs["description"]} if "description" in inputs else {}
    peers_key, field = _PEER_FIELDS[peer]
    permission[peers_key] = [{field: inputs[peer], **description}]
    return permission


class SecurityGroupIngressRule(_GroupRule, module="vpc"):
    direction = "ingress"


class SecurityGroupEgressRule(_GroupRule, module="vpc"):
    direction = "egress"


TYPES: list[type[AwsResource]] = [SecurityGroup, SecurityGroupIngressRule, SecurityGroupEgressRule]
