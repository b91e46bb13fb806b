"""AWS: instances and key pairs."""

from __future__ import annotations

import json

from tests.clouds.aws_resource import AwsResource
from tests.clouds.faults import CloudError
from tests.clouds.infrastructure import ServerSpec
from tests.clouds.input_rules import at_most, between, one_of
from tests.clouds.metadata_service import MAC
from tests.clouds.resource_schema import NameInput, ResourceSchema
from tests.clouds.simulated_cloud import Document

USER_DATA_LIMIT = 16 * 1024
_VOLUME_TYPES = ("standard", "io1", "io2", "gp2", "gp3", "sc1", "st1")


class Instance(AwsResource, module="ec2"):
    affects_topology = True
    ec2_name = "instance"
    schema = ResourceSchema(
        inputs={
            "ami!": str, "instanceType!": str, "subnetId": str, "vpcSecurityGroupIds": [str], "keyName": str,
            "iamInstanceProfile": str, "userData": str, "userDataReplaceOnChange": bool, "tags": dict,
            "metadataOptions": {"httpEndpoint": str, "httpTokens": str, "httpPutResponseHopLimit": int},
            "rootBlockDevice": {"encrypted": bool, "volumeType": str, "volumeSize": int},
        },
        outputs=("arn", "publicIp", "privateIp", "instanceState", "availabilityZone", "tagsAll"),
        replaces=("ami", "subnetId", "keyName", "rootBlockDevice.encrypted"),
        replaces_if=("userData", "userDataReplaceOnChange"),
        computed=(
            "ami", "instanceType", "subnetId", "vpcSecurityGroupIds", "keyName", "iamInstanceProfile", "userData",
            "metadataOptions", "metadataOptions.httpEndpoint", "metadataOptions.httpTokens",
            "metadataOptions.httpPutResponseHopLimit", "rootBlockDevice", "rootBlockDevice.encrypted",
            "rootBlockDevice.volumeType", "rootBlockDevice.volumeSize",
        ),
        sets=("vpcSecurityGroupIds",),
        defaults={"userDataReplaceOnChange": False},
        rules={
            "userData": at_most(USER_DATA_LIMIT),
            "metadataOptions.httpEndpoint": one_of("enabled", "disabled"),
            "metadataOptions.httpTokens": one_of("optional", "required"),
            "metadataOptions.httpPutResponseHopLimit": between(1, 64),
            "rootBlockDevice.volumeType": one_of(*_VOLUME_TYPES),
        },
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        self._check(inputs)
        [instance] = self.ec2.run_instances(
            ImageId=inputs["ami"],
            InstanceType=inputs["instanceType"],
            MinCount=1,
            MaxCount=1,
            TagSpecifications=self.ec2_tags(inputs),
            **_optional_arguments(inputs),
        )["Instances"]
        id: str = instance["InstanceId"]
        with self.cloud.lock:
            [subnet] = self.ec2.describe_subnets(SubnetIds=[instance["SubnetId"]])["Subnets"]
            if subnet["MapPublicIpOnLaunch"]:
                self.cloud.auto_assigned_addresses[id] = self.cloud.new_public_address()
            self.cloud.recorded_inputs[type(self), id] = inputs
        self.cloud.apply_topology()
        try:
            self.cloud.infrastructure.boot(self._server_spec(instance, inputs))
        except BaseException:
            self.ec2.terminate_instances(InstanceIds=[id])
            raise
        return id

    def api_read(self, id: str) -> Document | None:
        instance = self._describe(id)
        if instance is None:
            return None
        addresses = self.ec2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [id]}])["Addresses"]
        elastic_addresses = [self.cloud.elastic_addresses[address["AllocationId"]] for address in addresses]
        auto_assigned_address = self.cloud.auto_assigned_addresses.get(id, "")
        return {
            "arn": f"arn:aws:ec2:{self.cloud.region}:instance/{id}",
            "publicIp": elastic_addresses[0] if elastic_addresses else auto_assigned_address,
            "privateIp": instance["PrivateIpAddress"],
            "instanceState": instance["State"]["Name"],
            "instanceType": instance["InstanceType"],
            "availabilityZone": instance["Placement"]["AvailabilityZone"],
            "vpcSecurityGroupIds": sorted(group["GroupId"] for group in instance["SecurityGroups"]),
        }

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        if "vpcSecurityGroupIds" in changes:
            self.ec2.modify_instance_attribute(InstanceId=id, Groups=news["vpcSecurityGroupIds"])
        if "instanceType" in changes:
            self.ec2.stop_instances(InstanceIds=[id])
            self.ec2.modify_instance_attribute(InstanceId=id, InstanceType={"Value": news["instanceType"]})
            self.ec2.start_instances(InstanceIds=[id])
            self.cloud.infrastructure.restart(id)
        return {"vpcSecurityGroupIds", "instanceType"}

    def api_delete(self, id: str) -> None:
        if self._describe(id):
            self.cloud.infrastructure.destroy(id)
            self.ec2.terminate_instances(InstanceIds=[id])
        self.cloud.auto_assigned_addresses.pop(id, None)

    def _describe(self, id: str) -> Document | None:
        """The instance as EC2 describes it; None once it is terminated or being terminated."""
        reservations = self.ec2.describe_instances(InstanceIds=[id])["Reservations"]
        [instance] = [instance for reservation in reservations for instance in reservation["Instances"]]
        return None if instance["State"]["Name"] in ("terminated", "shutting-down") else instance

    def _check(self, inputs: Document) -> None:
        """Refuse mistakes that moto accepts."""
        [image] = self.ec2.describe_images(ImageIds=[inputs["ami"]])["Images"]
        [type_] = self.ec2.describe_instance_types(InstanceTypes=[inputs["instanceType"]])["InstanceTypes"]
        if image["Architecture"] not in type_["ProcessorInfo"]["SupportedArchitectures"]:
            raise CloudError(
                f"InvalidParameterValue: The architecture '{image['Architecture']}' of the specified AMI doesn't match"
                f" that of the instance type {inputs['instanceType']}"
            )
        # Both calls raise an error where the name doesn't exist.
        if "keyName" in inputs:
            self.ec2.describe_key_pairs(KeyNames=[inputs["keyName"]])
        if "iamInstanceProfile" in inputs:
            self.cloud.client("iam").get_instance_profile(InstanceProfileName=inputs["iamInstanceProfile"])

    def _server_spec(self, instance: Document, inputs: Document) -> ServerSpec:
        id, options = instance["InstanceId"], inputs.get("metadataOptions", {})
        tags = {**self.cloud.default_tags, **inputs.get("tags", {})}
        latest = {
            "meta-data": self._metadata(instance, inputs),
            "dynamic": {"instance-identity": {"document": json.dumps(self._identity_document(instance, inputs))}},
        }
        return ServerSpec(
            id=id,
            hostname=str(tags.get("Name", id)),
            network=instance["VpcId"],
            address=instance["PrivateIpAddress"],
            user_data=inputs.get("userData", ""),
            metadata={"latest": latest, "token_required": options.get("httpTokens") == "required"},
            hop_limit=int(options.get("httpPutResponseHopLimit", 1)),
        )

    def _metadata(self, instance: Document, inputs: Document) -> Document:
        address = instance["PrivateIpAddress"]
        hostname = f"ip-{address.replace('.', '-')}"
        key_pair = self.cloud.recorded_inputs.get((KeyPair, inputs.get("keyName", "")), {})
        return {
            "instance-id": instance["InstanceId"],
            "ami-id": inputs["ami"],
            "instance-type": inputs["instanceType"],
            "local-ipv4": address,
            "local-hostname": hostname,
            "hostname": hostname,
            "public-ipv4": self.cloud.auto_assigned_addresses.get(instance["InstanceId"], ""),
            "mac": MAC,
            "placement": {
                "availability-zone": instance["Placement"]["AvailabilityZone"],
                "region": self.cloud.region,
            },
            "public-keys": {"0": {"openssh-key": key_pair["publicKey"]}} if key_pair else {},
            "network": {"interfaces": {"macs": {MAC: {"local-ipv4s": address, "device-number": "0"}}}},
        }

    def _identity_document(self, instance: Document, inputs: Document) -> Document:
        return {
            "instanceId": instance["InstanceId"],
            "region": self.cloud.region,
            "availabilityZone": instance["Placement"]["AvailabilityZone"],
            "privateIp": instance["PrivateIpAddress"],
            "instanceType": inputs["instanceType"],
            "imageId": inputs["ami"],
            "accountId": self.cloud.account,
        }


class KeyPair(AwsResource, module="ec2"):
    ec2_name = "key-pair"
    schema = ResourceSchema(
        inputs={"keyName": str, "publicKey!": str, "tags": dict},
        outputs=("arn", "fingerprint", "keyPairId", "tagsAll"),
        replaces=("keyName", "publicKey"),
        spellings={"publicKey": str.strip},
        name=NameInput(input="keyName", limit=255),
    )

    def api_create(self, inputs: Document) -> str:
        material, tags = inputs["publicKey"].encode(), self.ec2_tags(inputs)
        self.ec2.import_key_pair(KeyName=inputs["keyName"], PublicKeyMaterial=material, TagSpecifications=tags)
        return inputs["keyName"]

    def api_read(self, id: str) -> Document | None:
        [key_pair] = self.ec2.describe_key_pairs(KeyNames=[id])["KeyPairs"]
        return {"keyName": id, "fingerprint": key_pair["KeyFingerprint"], "keyPairId": key_pair["KeyPairId"]}

    def api_delete(self, id: str) -> None:
        self.ec2.delete_key_pair(KeyName=id)


def _optional_arguments(inputs: Document) -> Document:
    """The arguments of RunInstances that come from optional inputs."""
    arguments = {
        "KeyName": inputs.get("keyName"),
        "SubnetId": inputs.get("subnetId"),
        "SecurityGroupIds": inputs.get("vpcSecurityGroupIds"),
        "UserData": inputs.get("userData"),
    }
    if "iamInstanceProfile" in inputs:
        arguments["IamInstanceProfile"] = {"Name": inputs["iamInstanceProfile"]}
    if "metadataOptions" in inputs:
        arguments["MetadataOptions"] = _metadata_options(inputs["metadataOptions"])
    if "rootBlockDevice" in inputs:
        arguments["BlockDeviceMappings"] = [{"DeviceName": "/dev/xvda", "Ebs": _disk(inputs["rootBlockDevice"])}]
    return {key: value for key, value in arguments.items() if value is not None}


def _metadata_options(inputs: Document) -> Document:
    aws_keys = {"httpEndpoint": "HttpEndpoint", "httpTokens": "HttpTokens"}
    options: Document = {aws_key: inputs[key] for key, aws_key in aws_keys.items() if key in inputs}
    if "httpPutResponseHopLimit" in inputs:
        options["HttpPutResponseHopLimit"] = int(inputs["httpPutResponseHopLimit"])
    return options


def _disk(inputs: Document) -> Document:
    disk: Document = {"Encrypted": inputs.get("encrypted", False), "VolumeType": inputs.get("volumeType", "gp2")}
    if "volumeSize" in inputs:
        disk["VolumeSize"] = int(inputs["volumeSize"])
    return disk


TYPES: list[type[AwsResource]] = [Instance, KeyPair]
