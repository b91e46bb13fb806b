"""AWS: volumes, their attachments, and the policies of Data Lifecycle Manager, which moto doesn't have."""

from __future__ import annotations

import secrets

from tests.clouds import aws_rules
from tests.clouds.aws_resource import AwsResource, checksum
from tests.clouds.faults import CloudError
from tests.clouds.input_rules import between, matching, number_of, one_of
from tests.clouds.resource_schema import ResourceSchema
from tests.clouds.simulated_cloud import Document

# https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html
SIZES = range(1, 65536 + 1)


class Volume(AwsResource, module="ebs"):
    ec2_name = "volume"
    schema = ResourceSchema(
        inputs={
            "availabilityZone!": str, "encrypted": bool, "type": str, "size": int, "tags": dict, "iops": int,
            "throughput": int, "snapshotId": str, "finalSnapshot": bool, "kmsKeyId": str,
        },
        outputs=("arn", "createTime", "tagsAll"),
        replaces=("availabilityZone", "encrypted", "snapshotId", "kmsKeyId"),
        computed=("encrypted", "type", "size", "iops", "throughput", "snapshotId", "kmsKeyId"),
        defaults={"finalSnapshot": False},
        rules={
            "": aws_rules.at_least_one_of("size", "snapshotId"), "kmsKeyId": aws_rules.arn,
            "throughput": between(125, 2000),
        },
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        if inputs["size"] not in SIZES:
            raise CloudError(f"InvalidParameterValue: Volume of {inputs['size']}GiB is too small or too large")
        id: str = self.ec2.create_volume(
            AvailabilityZone=inputs["availabilityZone"],
            Encrypted=inputs.get("encrypted", False),
            VolumeType=inputs.get("type", "gp2"),
            Size=int(inputs["size"]),
            TagSpecifications=self.ec2_tags(inputs),
        )["VolumeId"]
        self.cloud.infrastructure.create_volume(id, int(inputs["size"]))
        return id

    def api_read(self, id: str) -> Document | None:
        [volume] = self.ec2.describe_volumes(VolumeIds=[id])["Volumes"]
        return {
            "arn": f"arn:aws:ec2:{self.cloud.region}:{self.cloud.account}:volume/{id}",
            "availabilityZone": volume["AvailabilityZone"],
            "encrypted": volume["Encrypted"],
            "size": volume["Size"],
            "type": volume["VolumeType"],
        }

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        if "size" in changes:
            [volume] = self.ec2.describe_volumes(VolumeIds=[id])["Volumes"]
            if news["size"] < volume["Size"]:
                raise CloudError("InvalidParameterValue: New size cannot be smaller than existing size")
            self.ec2.modify_volume(VolumeId=id, Size=int(news["size"]))
            self.cloud.infrastructure.resize_volume(id, int(news["size"]))
        return {"size"}

    def api_delete(self, id: str) -> None:
        [volume] = self.ec2.describe_volumes(VolumeIds=[id])["Volumes"]
        if volume["Attachments"]:
            raise CloudError(f"VolumeInUse: Volume {id} is currently attached")
        self.ec2.delete_volume(VolumeId=id)
        self.cloud.infrastructure.delete_volume(id)


class VolumeAttachment(AwsResource, module="ec2"):
    schema = ResourceSchema(
        inputs={
            "deviceName!": str, "volumeId!": str, "instanceId!": str, "forceDetach": bool, "skipDestroy": bool,
            "stopInstanceBeforeDetaching": bool,
        },
        replaces=("deviceName", "volumeId", "instanceId"),
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        volume_id, instance_id = inputs["volumeId"], inputs["instanceId"]
        [volume] = self.ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"]
        if attached := [attachment["InstanceId"] for attachment in volume["Attachments"]]:
            # The provider takes an attachment to this instance as its own.
            if attached == [instance_id]:
                return _attachment_id(inputs)
            raise CloudError(f"VolumeInUse: {volume_id} is already attached to an instance")
        [reservation] = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        zone = reservation["Instances"][0]["Placement"]["AvailabilityZone"]
        if zone != volume["AvailabilityZone"]:
            raise CloudError(
                f"InvalidVolume.ZoneMismatch: The volume '{volume_id}' is not in the same availability zone as"
                f" instance '{instance_id}'"
            )
        self.ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=inputs["deviceName"])
        link = f"nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"
        self.cloud.infrastructure.attach_volume(volume_id, instance_id, link)
        return _attachment_id(inputs)

    def api_read(self, id: str) -> Document | None:
        inputs = self.cloud.recorded_inputs.get((type(self), id), {})
        if not inputs:
            return None
        [volume] = self.ec2.describe_volumes(VolumeIds=[inputs["volumeId"]])["Volumes"]
        attached = [attachment["InstanceId"] for attachment in volume["Attachments"]]
        return {} if inputs["instanceId"] in attached else None

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        """The provider only records them, for the deletion."""
        return {"forceDetach", "skipDestroy", "stopInstanceBeforeDetaching"}

    def api_delete(self, id: str) -> None:
        inputs = self.cloud.recorded_inputs[type(self), id]
        self.cloud.infrastructure.detach_volume(inputs["volumeId"])
        self.ec2.detach_volume(VolumeId=inputs["volumeId"], InstanceId=inputs["instanceId"])


def _attachment_id(inputs: Document) -> str:
    """The provider makes the id of the three names."""
    names = f"{inputs['deviceName']}-{inputs['instanceId']}-{inputs['volumeId']}-"
    return f"vai-{checksum(names)}"


class LifecyclePolicy(AwsResource, module="dlm"):
    schema = ResourceSchema(
        inputs={
            "description!": str, "executionRoleArn!": str, "state": str, "tags": dict,
            "policyDetails!": {
                "resourceTypes": [str], "targetTags": dict,
                "schedules": [
                    {
                        "name!": str, "copyTags": bool,
                        "createRule!": {"interval": int, "intervalUnit": str, "times": str},
                        "retainRule!": {"count": int},
                    }
                ],
            },
        },
        outputs=("arn", "tagsAll"),
        replaces=("policyDetails.schedules.copyTags",),
        computed=(
            "policyDetails.schedules.copyTags", "policyDetails.schedules.createRule.intervalUnit",
            "policyDetails.schedules.createRule.times",
        ),
        defaults={"state": "ENABLED"},
        rules={
            "description": matching(r"[0-9A-Za-z _-]{1,500}"), "executionRoleArn": aws_rules.arn,
            "state": one_of("ENABLED", "DISABLED"),
            "policyDetails.schedules.createRule.interval": number_of(1, 2, 3, 4, 6, 8, 12, 24),
            "policyDetails.schedules.retainRule.count": between(1, 1000),
            "policyDetails.schedules.createRule.times": matching(r"([01]\d|2[0-3]):[0-5]\d"),
            "policyDetails.schedules.createRule.intervalUnit": one_of("HOURS"),
        },
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        self._check(inputs)
        return f"policy-{secrets.token_hex(8)}"

    def api_read(self, id: str) -> Document | None:
        if (type(self), id) not in self.cloud.recorded_inputs:
            return None
        return {"arn": f"arn:aws:dlm:{self.cloud.region}:{self.cloud.account}:policy/{id}"}

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        self._check(news)
        return {"description", "executionRoleArn", "state", "policyDetails"}

    def api_delete(self, id: str) -> None:
        """The record goes with the resource."""

    def _check(self, inputs: Document) -> None:
        """Refuse a role that doesn't exist."""
        self.cloud.client("iam").get_role(RoleName=inputs["executionRoleArn"].rpartition("/")[2])


TYPES: list[type[AwsResource]] = [Volume, VolumeAttachment, LifecyclePolicy]
