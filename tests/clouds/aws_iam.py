"""AWS: roles, their policies, the profiles that give a role to an instance, and users with their keys."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, ClassVar

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend, iam_backends

from tests.clouds import aws_rules
from tests.clouds.aws_resource import AwsResource
from tests.clouds.input_rules import one_of
from tests.clouds.resource_schema import NameInput, ResourceSchema
from tests.clouds.simulated_cloud import Document


class Role(AwsResource, module="iam"):
    schema = ResourceSchema(
        inputs={"name": str, "assumeRolePolicy!": str, "description": str, "tags": dict},
        outputs=("arn", "uniqueId", "tagsAll"),
        replaces=("name",),
        name=NameInput(limit=64, pattern=r"[\w+=,.@-]+"),
        spellings={"assumeRolePolicy": aws_rules.policy},
        rules={"assumeRolePolicy": aws_rules.json_object},
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
    schema = ResourceSchema(
        inputs={"role!": str, "policyArn!": str},
        replaces=("role", "policyArn"),
        deletes_first=True,
        rules={"policyArn": aws_rules.arn},
    )

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


class InlinePolicy(AwsResource):
    """A policy that belongs to one role or user. Its id has the names of both."""

    SPELLINGS: ClassVar = {"policy": aws_rules.policy}
    RULES: ClassVar = {"policy": aws_rules.json_object}
    # The holder's input, and its names in the API.
    holder: ClassVar[str]
    holder_name: ClassVar[str]

    def api_create(self, inputs: Document) -> str:
        self._put(inputs)
        return f"{inputs[self.holder]}:{inputs['name']}"

    def api_read(self, id: str) -> Document | None:
        self._call("get", id)
        return dict(zip((self.holder, "name"), id.split(":"), strict=True))

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        self._put(news)
        return {"policy"}

    def api_delete(self, id: str) -> None:
        self._call("delete", id)

    def _put(self, inputs: Document) -> None:
        self._call("put", f"{inputs[self.holder]}:{inputs['name']}", PolicyDocument=inputs["policy"])

    def _call(self, verb: str, id: str, **arguments: str) -> None:
        holder, _, name = id.partition(":")
        call = getattr(self.cloud.client("iam"), f"{verb}_{self.holder}_policy")
        call(**{self.holder_name: holder, "PolicyName": name}, **arguments)


class RolePolicy(InlinePolicy, module="iam"):
    holder, holder_name = "role", "RoleName"
    schema = ResourceSchema(
        inputs={"role!": str, "name": str, "policy!": str},
        replaces=("role", "name"),
        name=NameInput(limit=128),
        spellings=InlinePolicy.SPELLINGS,
        rules=InlinePolicy.RULES,
    )


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


class User(AwsResource, module="iam"):
    schema = ResourceSchema(
        inputs={"name": str, "path": str, "forceDestroy": bool, "tags": dict},
        outputs=("arn", "uniqueId", "tagsAll"),
        name=NameInput(limit=64, pattern=r"[\w+=,.@-]+"),
        defaults={"path": "/", "forceDestroy": False},
    )

    def api_create(self, inputs: Document) -> str:
        self.cloud.client("iam").create_user(UserName=inputs["name"])
        return inputs["name"]

    def api_read(self, id: str) -> Document | None:
        user = self.cloud.client("iam").get_user(UserName=id)["User"]
        return {"name": id, "arn": user["Arn"], "uniqueId": user["UserId"]}

    def api_delete(self, id: str) -> None:
        self.cloud.client("iam").delete_user(UserName=id)


class UserPolicy(InlinePolicy, module="iam"):
    holder, holder_name = "user", "UserName"
    schema = ResourceSchema(
        inputs={"user!": str, "name": str, "policy!": str},
        replaces=("user", "name"),
        name=NameInput(limit=128),
        spellings=InlinePolicy.SPELLINGS,
        rules=InlinePolicy.RULES,
    )


class AccessKey(AwsResource, module="iam"):
    """A user's key. Only its creation returns the secret part, which the provider keeps in the state."""

    schema = ResourceSchema(
        inputs={"user!": str, "status": str},
        outputs=("secret",),
        replaces=("user",),
        defaults={"status": "Active"},
        rules={"status": one_of("Active", "Inactive")},
    )

    def api_create(self, inputs: Document) -> str:
        key = self.cloud.client("iam").create_access_key(UserName=inputs["user"])["AccessKey"]
        self.cloud.access_keys[key["AccessKeyId"]] = key["SecretAccessKey"]
        return key["AccessKeyId"]

    def api_read(self, id: str) -> Document | None:
        user = self.cloud.recorded_inputs.get((type(self), id), {}).get("user")
        keys = self.cloud.client("iam").list_access_keys(UserName=user)["AccessKeyMetadata"] if user else []
        return {"secret": self.cloud.access_keys[id]} if any(key["AccessKeyId"] == id for key in keys) else None

    def api_delete(self, id: str) -> None:
        user = self.cloud.recorded_inputs[type(self), id]["user"]
        self.cloud.client("iam").delete_access_key(UserName=user, AccessKeyId=id)


TYPES: list[type[AwsResource]] = [
    Role,
    RolePolicy,
    RolePolicyAttachment,
    InstanceProfile,
    User,
    UserPolicy,
    AccessKey,
]
