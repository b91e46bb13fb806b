"""A volume on AWS: EBS, with daily snapshots."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from components import naming, volumes
from components.aws.network import Network
from components.target import Server, VolumeArgs
from components.volume_component import VolumeComponent

# EC2 asks for a name, which the instances with NVMe don't use:
# https://docs.aws.amazon.com/ebs/latest/userguide/nvme-ebs-volumes.html
DEVICE = "/dev/sdf"
PATH = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{}"
# https://docs.aws.amazon.com/ebs/latest/userguide/service-role.html
SNAPSHOT_POLICY = "arn:aws:iam::aws:policy/service-role/AWSDataLifecycleManagerServiceRole"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "dlm.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
ROLE_NAME_LIMIT = 64
# Only this stack's volume has the tag with this stack's name. A policy selects by one tag.
SNAPSHOT_TAG = "GantryVolume"
# The policy pack refuses a volume that has neither the protection nor this tag.
DELETABLE_TAG = "Deletable"
# UTC. Data Lifecycle Manager begins within the hour that follows.
SNAPSHOT_TIME = "03:00"


class Volume(VolumeComponent):
    """An encrypted volume in the zone of the stack's first subnet. It never moves to another zone."""

    VOLUME_INPUT, SERVER_INPUT = "volumeId", "instanceId"

    def __init__(self, name: str, args: VolumeArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:aws:Volume", name, None, opts)
        self._label, network = naming.label(name), args.network
        self._child_opts = pulumi.ResourceOptions(parent=self, provider=network.provider)
        owner = f"{pulumi.get_project()}/{pulumi.get_stack()}"
        volume = aws.ebs.Volume(
            self._label,
            availability_zone=network.first_zone,
            encrypted=True,
            type="gp3",
            size=args.gigabytes,
            tags={"Name": self._label, SNAPSHOT_TAG: owner, **({DELETABLE_TAG: "true"} if args.deletable else {})},
            opts=pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions.merge(self._child_opts, volumes.kept(deletable=args.deletable)),
                # The server follows the volume. Another first zone of the network must not replace it.
                pulumi.ResourceOptions(ignore_changes=["availabilityZone"], hooks=volumes.never_smaller(name)),
            ),
        )
        self._snapshot(owner, network.settings.storage_snapshots)
        self._outage_seconds = args.outage_seconds
        self._register(
            volume_id=volume.id,
            path=volume.id.apply(lambda id: PATH.format(id.replace("-", ""))),
            location=volume.availability_zone,
        )

    def _attached(self, server: Server, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
        return aws.ec2.VolumeAttachment(
            self._label,
            device_name=DEVICE,
            volume_id=self.volume_id,
            instance_id=server.instance_id,
            # By force, AWS would take it from a server that still writes to it.
            force_detach=False,
            opts=opts,
        )

    def _snapshot(self, owner: str, count: int) -> None:
        """A snapshot each day, of which the last ``count`` are kept. They stay when the volume is deleted."""
        label = naming.label(f"{self._label}-snapshots", ROLE_NAME_LIMIT)
        role = aws.iam.Role(label, assume_role_policy=json.dumps(TRUST), opts=self._child_opts)
        attachment = aws.iam.RolePolicyAttachment(
            label, role=role.name, policy_arn=SNAPSHOT_POLICY, opts=self._child_opts
        )
        schedule = aws.dlm.LifecyclePolicyPolicyDetailsScheduleArgs(
            name="daily",
            copy_tags=True,
            create_rule=aws.dlm.LifecyclePolicyPolicyDetailsScheduleCreateRuleArgs(
                interval=24, interval_unit="HOURS", times=SNAPSHOT_TIME
            ),
            retain_rule=aws.dlm.LifecyclePolicyPolicyDetailsScheduleRetainRuleArgs(count=count),
        )
        aws.dlm.LifecyclePolicy(
            label,
            description="Daily snapshots of a Gantry volume",
            execution_role_arn=role.arn,
            state="ENABLED",
            policy_details=aws.dlm.LifecyclePolicyPolicyDetailsArgs(
                resource_types=["VOLUME"], target_tags={SNAPSHOT_TAG: owner}, schedules=[schedule]
            ),
            tags={"Name": label},
            opts=pulumi.ResourceOptions.merge(self._child_opts, pulumi.ResourceOptions(depends_on=[attachment])),
        )
