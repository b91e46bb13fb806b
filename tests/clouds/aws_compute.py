"""AWS: instances, the keys to them and what they may do."""

from __future__ import annotations

import json

from tests.clouds.aws import Document, Resource
from tests.clouds.faults import CloudError
from tests.clouds.infrastructure import Boot
from tests.clouds.metadata_service import MAC
from tests.clouds.resource_schema import Kind, Name

USER_DATA_LIMIT = 16 * 1024


class KeyPair(Resource):
    shows = False
    token = "aws:ec2/keyPair:KeyPair"
    called = "key-pair"
    kind = Kind(
        inputs={"keyName": str, "publicKey!": str, "tags": dict},
        outputs=("arn", "fingerprint", "keyPairId", "tagsAll"),
        replaces=("keyName", "publicKey"),
        name=Name(input="keyName", limit=255),
    )

    def make(self, inputs: Document) -> str:
        material, tags = inputs["publicKey"].encode(), self.tags(inputs)
        self.ec2.import_key_pair(KeyName=inputs["keyName"], PublicKeyMaterial=material, TagSpecifications=tags)
        return inputs["keyName"]

    def live(self, id: str) -> Document | None:
        [found] = self.ec2.describe_key_pairs(KeyNames=[id])["KeyPairs"]
        return {"keyName": id, "fingerprint": found["KeyFingerprint"], "keyPairId": found["KeyPairId"]}

    def drop(self, id: str) -> None:
        self.ec2.delete_key_pair(KeyName=id)


class Role(Resource):
    shows = False
    token = "aws:iam/role:Role"
    kind = Kind(
        inputs={"name": str, "assumeRolePolicy!": str, "description": str, "tags": dict},
        outputs=("arn", "uniqueId", "tagsAll"),
        replaces=("name",),
        name=Name(limit=64, pattern=r"[\w+=,.@-]+"),
    )

    def make(self, inputs: Document) -> str:
        iam = self.cloud.client("iam")
        iam.create_role(RoleName=inputs["name"], AssumeRolePolicyDocument=inputs["assumeRolePolicy"])
        return inputs["name"]

    def live(self, id: str) -> Document | None:
        found = self.cloud.client("iam").get_role(RoleName=id)["Role"]
        return {"name": id, "arn": found["Arn"], "uniqueId": found["RoleId"]}

    def drop(self, id: str) -> None:
        self.cloud.client("iam").delete_role(RoleName=id)


class RolePolicyAttachment(Resource):
    shows = False
    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    kind = Kind(inputs={"role!": str, "policyArn!": str}, replaces=("role", "policyArn"))

    def make(self, inputs: Document) -> str:
        self.cloud.client("iam").attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}/{inputs['policyArn']}"

    def live(self, id: str) -> Document | None:
        role, _, policy = id.partition("/")
        found = self.cloud.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        return {} if any(each["PolicyArn"] == policy for each in found) else None

    def drop(self, id: str) -> None:
        role, _, policy = id.partition("/")
        self.cloud.client("iam").detach_role_policy(RoleName=role, PolicyArn=policy)


class InstanceProfile(Resource):
    shows = False
    token = "aws:iam/instanceProfile:InstanceProfile"
    kind = Kind(
        inputs={"name": str, "role": str, "tags": dict},
        outputs=("arn", "uniqueId", "tagsAll"),
        replaces=("name",),
        name=Name(limit=128, pattern=r"[\w+=,.@-]+"),
    )

    def make(self, inputs: Document) -> str:
        iam = self.cloud.client("iam")
        iam.create_instance_profile(InstanceProfileName=inputs["name"])
        if "role" in inputs:
            iam.add_role_to_instance_profile(InstanceProfileName=inputs["name"], RoleName=inputs["role"])
        return inputs["name"]

    def live(self, id: str) -> Document | None:
        found = self.cloud.client("iam").get_instance_profile(InstanceProfileName=id)["InstanceProfile"]
        roles = [each["RoleName"] for each in found["Roles"]]
        return {"name": id, "arn": found["Arn"], **({"role": roles[0]} if roles else {})}

    def drop(self, id: str) -> None:
        iam = self.cloud.client("iam")
        for role in iam.get_instance_profile(InstanceProfileName=id)["InstanceProfile"]["Roles"]:
            iam.remove_role_from_instance_profile(InstanceProfileName=id, RoleName=role["RoleName"])
        iam.delete_instance_profile(InstanceProfileName=id)


class Instance(Resource):
    token = "aws:ec2/instance:Instance"
    called = "instance"
    kind = Kind(
        inputs={
            "ami!": str, "instanceType!": str, "subnetId": str, "vpcSecurityGroupIds": [str], "keyName": str,
            "iamInstanceProfile": str, "userData": str, "userDataReplaceOnChange": bool, "tags": dict,
            "metadataOptions": {"httpEndpoint": str, "httpTokens": str, "httpPutResponseHopLimit": int},
            "rootBlockDevice": {"encrypted": bool, "volumeType": str, "volumeSize": int},
        },
        outputs=("arn", "publicIp", "privateIp", "instanceState", "availabilityZone", "tagsAll"),
        replaces=("ami", "subnetId", "keyName"),
        replaces_if=("userData", "userDataReplaceOnChange"),
    )  # fmt: skip

    def make(self, inputs: Document) -> str:
        if len(inputs.get("userData", "").encode()) > USER_DATA_LIMIT:
            raise CloudError("InvalidParameterValue: User data is limited to 16384 bytes")
        self._check_architecture(inputs)
        given = {
            "KeyName": inputs.get("keyName"),
            "SubnetId": inputs.get("subnetId"),
            "SecurityGroupIds": inputs.get("vpcSecurityGroupIds"),
            "UserData": inputs.get("userData"),
        }
        if "keyName" in inputs:
            self.ec2.describe_key_pairs(KeyNames=[inputs["keyName"]])
        if "iamInstanceProfile" in inputs:
            self.cloud.client("iam").get_instance_profile(InstanceProfileName=inputs["iamInstanceProfile"])
            given["IamInstanceProfile"] = {"Name": inputs["iamInstanceProfile"]}
        if "metadataOptions" in inputs:
            given["MetadataOptions"] = _metadata_options(inputs)
        if "rootBlockDevice" in inputs:
            given["BlockDeviceMappings"] = [{"DeviceName": "/dev/xvda", "Ebs": _disk(inputs)}]
        made = self.ec2.run_instances(
            ImageId=inputs["ami"], InstanceType=inputs["instanceType"], MinCount=1, MaxCount=1,
            TagSpecifications=self.tags(inputs),
            **{key: value for key, value in given.items() if value is not None},
        )["Instances"][0]  # fmt: skip
        id: str = made["InstanceId"]
        with self.cloud.lock:
            [subnet] = self.ec2.describe_subnets(SubnetIds=[made["SubnetId"]])["Subnets"]
            if subnet["MapPublicIpOnLaunch"]:
                self.cloud.own_addresses[id] = self.cloud.public_address()
            self.cloud.given[type(self), id] = inputs
        self.cloud.show()
        try:
            self.cloud.world.boot(self._boot(id, made, inputs))
        except BaseException:
            self.ec2.terminate_instances(InstanceIds=[id])
            raise
        return id

    def live(self, id: str) -> Document | None:
        found = self.found(id)
        if found is None:
            return None
        held = self.ec2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [id]}])["Addresses"]
        elastic = [self.cloud.elastic[each["AllocationId"]] for each in held]
        return {
            "arn": f"arn:aws:ec2:{self.cloud.region}:instance/{id}",
            "publicIp": elastic[0] if elastic else self.cloud.own_addresses.get(id, ""),
            "privateIp": found["PrivateIpAddress"],
            "instanceState": found["State"]["Name"],
            "instanceType": found["InstanceType"],
            "availabilityZone": found["Placement"]["AvailabilityZone"],
            "vpcSecurityGroupIds": sorted(each["GroupId"] for each in found["SecurityGroups"]),
        }

    def found(self, id: str) -> Document | None:
        """As EC2 describes it, unless it is gone or going."""
        reservations = self.ec2.describe_instances(InstanceIds=[id])["Reservations"]
        [found] = [each for reservation in reservations for each in reservation["Instances"]]
        return None if found["State"]["Name"] in ("terminated", "shutting-down") else found

    def change(self, id: str, olds: Document, news: Document, changed: set[str]) -> set[str]:
        if "vpcSecurityGroupIds" in changed:
            self.ec2.modify_instance_attribute(InstanceId=id, Groups=news["vpcSecurityGroupIds"])
        if "instanceType" in changed:
            self.ec2.stop_instances(InstanceIds=[id])
            self.ec2.modify_instance_attribute(InstanceId=id, InstanceType={"Value": news["instanceType"]})
            self.ec2.start_instances(InstanceIds=[id])
            self.cloud.world.restart(id)
        return {"vpcSecurityGroupIds", "instanceType"}

    def drop(self, id: str) -> None:
        if self.found(id):
            self.cloud.world.destroy(id)
            self.ec2.terminate_instances(InstanceIds=[id])
        self.cloud.own_addresses.pop(id, None)

    def _check_architecture(self, inputs: Document) -> None:
        [image] = self.ec2.describe_images(ImageIds=[inputs["ami"]])["Images"]
        [kind] = self.ec2.describe_instance_types(InstanceTypes=[inputs["instanceType"]])["InstanceTypes"]
        if image["Architecture"] not in kind["ProcessorInfo"]["SupportedArchitectures"]:
            raise CloudError(
                f"InvalidParameterValue: The architecture '{image['Architecture']}' of the specified AMI doesn't match"
                f" that of the instance type {inputs['instanceType']}"
            )

    def _boot(self, id: str, made: Document, inputs: Document) -> Boot:
        options, tags = inputs.get("metadataOptions", {}), {**self.cloud.default_tags, **inputs.get("tags", {})}
        private = made["PrivateIpAddress"]
        zone = made["Placement"]["AvailabilityZone"]
        key = self.cloud.given.get((KeyPair, inputs.get("keyName", "")), {})
        document = {
            "instanceId": id, "region": self.cloud.region, "availabilityZone": zone, "privateIp": private,
            "instanceType": inputs["instanceType"], "imageId": inputs["ami"], "accountId": "123456789012",
        }  # fmt: skip
        data = {
            "instance-id": id,
            "ami-id": inputs["ami"],
            "instance-type": inputs["instanceType"],
            "local-ipv4": private,
            "local-hostname": f"ip-{private.replace('.', '-')}",
            "hostname": f"ip-{private.replace('.', '-')}",
            "public-ipv4": self.cloud.own_addresses.get(id, ""),
            "mac": MAC,
            "placement": {"availability-zone": zone, "region": self.cloud.region},
            "public-keys": {"0": {"openssh-key": key["publicKey"]}} if key else {},
            "network": {"interfaces": {"macs": {MAC: {"local-ipv4s": private, "device-number": "0"}}}},
        }
        return Boot(
            id=id,
            hostname=str(tags.get("Name", id)),
            network=made["VpcId"],
            address=private,
            user_data=inputs.get("userData", ""),
            metadata={
                "latest": {"meta-data": data, "dynamic": {"instance-identity": {"document": json.dumps(document)}}},
                "token_required": options.get("httpTokens") == "required",
            },
            hop_limit=int(options.get("httpPutResponseHopLimit", 1)),
        )


def _metadata_options(inputs: Document) -> Document:
    given: Document = inputs["metadataOptions"]
    named = {"httpEndpoint": "HttpEndpoint", "httpTokens": "HttpTokens"}
    options: Document = {theirs: given[ours] for ours, theirs in named.items() if ours in given}
    if "httpPutResponseHopLimit" in given:
        options["HttpPutResponseHopLimit"] = int(given["httpPutResponseHopLimit"])
    return options


def _disk(inputs: Document) -> Document:
    given: Document = inputs["rootBlockDevice"]
    disk: Document = {"Encrypted": given.get("encrypted", False), "VolumeType": given.get("volumeType", "gp2")}
    if "volumeSize" in given:
        disk["VolumeSize"] = int(given["volumeSize"])
    return disk


TYPES: list[type[Resource]] = [KeyPair, Role, RolePolicyAttachment, InstanceProfile, Instance]
