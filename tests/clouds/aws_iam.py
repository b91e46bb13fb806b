"""AWS: roles, their policies, and the profiles that give a role to an instance."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend, iam_backends

from tests.clouds.aws_resource import AwsResource
from tests.clouds.resource_schema import NameInput, ResourceSchema
from tests.clouds.simulated_cloud import Document


class Role(AwsResource, module="iam"):
    schema = ResourceSchema(
        inputs={"name": str, "assumeRolePolicy!": str, "description": str, "tags": dict},
        outputs=("arn", "uniqueId", "tagsAll"),
        replaces=("name",),
        name=NameInput(limit=64, pattern=r"[\w+=,.@-]+"),
    )

    def api_create(self, inputs: Document) -> str:
        iam = self.cloud.client("iam")
        iam.create_role(RoleName=inputs["name"], AssumeRolePolicyDocument=inputs["assumeRolePolicy"])
        return inputs["name"]

    def api_read(self, id: str) -> Document | None:
        role = self.cloud.client("iam").get_role(RoleName=id)["Role"]
        return {"name": id, "arn": role["Arn"], "uniqueId": role["RoleId"]}

    def api_delete(self, id: str) -> None:
        self.cloud.client("iam").delete_role(RoleName=id)


class RolePolicyAttachment(AwsResource, module="iam"):
    schema = ResourceSchema(inputs={"role!": str, "policyArn!": str}, replaces=("role", "policyArn"))

    def api_create(self, inputs: Document) -> str:
        _add_aws_policy(inputs["policyArn"], iam_backends[self.cloud.account]["aws"])
        self.cloud.client("iam").attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}/{inputs['policyArn']}"

    def api_read(self, id: str) -> Document | None:
        role, _, policy_arn = id.partition("/")
        policies = self.cloud.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        return {} if any(policy["PolicyArn"] == policy_arn for policy in policies) else None

    def api_delete(self, id: str) -> None:
        role, _, policy_arn = id.partition("/")
        self.cloud.client("iam").detach_role_policy(RoleName=role, PolicyArn=policy_arn)


def _add_aws_policy(arn: str, backend: IAMBackend) -> None:
    """Give the account one of the policies that AWS itself manages.

    With its switch for these policies, moto makes all of them again for each new account, which takes four seconds.
    """
    name = arn.rpartition("/")[2]
    if (data := _aws_policies().get(name)) and arn not in backend.managed_policies:
        policy = AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)
        backend.managed_policies[policy.arn] = policy


@lru_cache
def _aws_policies() -> dict[str, Any]:
    return json.loads(aws_managed_policies_data)


class InstanceProfile(AwsResource, module="iam"):
    schema = ResourceSchema(
        inputs={"name": str, "role": str, "tags": dict},
        outputs=("arn", "uniqueId", "tagsAll"),
        replaces=("name",),
        name=NameInput(limit=128, pattern=r"[\w+=,.@-]+"),
    )

    def api_create(self, inputs: Document) -> str:
        iam = self.cloud.client("iam")
        iam.create_instance_profile(InstanceProfileName=inputs["name"])
        if "role" in inputs:
            iam.add_role_to_instance_profile(InstanceProfileName=inputs["name"], RoleName=inputs["role"])
        return inputs["name"]

    def api_read(self, id: str) -> Document | None:
        profile = self.cloud.client("iam").get_instance_profile(InstanceProfileName=id)["InstanceProfile"]
        roles = [role["RoleName"] for role in profile["Roles"]]
        return {"name": id, "arn": profile["Arn"], **({"role": roles[0]} if roles else {})}

    def api_delete(self, id: str) -> None:
        iam = self.cloud.client("iam")
        for role in iam.get_instance_profile(InstanceProfileName=id)["InstanceProfile"]["Roles"]:
            iam.remove_role_from_instance_profile(InstanceProfileName=id, RoleName=role["RoleName"])
        iam.delete_instance_profile(InstanceProfileName=id)


TYPES: list[type[AwsResource]] = [Role, RolePolicyAttachment, InstanceProfile]
