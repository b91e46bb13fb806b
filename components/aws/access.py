"""The servers' security group, key pair and role on AWS."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from components import naming
from components.aws.settings import AwsSettings
from components.target import NetworkArgs

EVERYWHERE = "0.0.0.0/0"
# The names of security groups can't begin like their ids.
RESERVED_PREFIXES = ("sg-",)
# With Session Manager, an operator can still log in if SSH doesn't work. These are the actions that it needs:
# https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
# AWS's own policy for it, AmazonSSMManagedInstanceCore, also reads every parameter of the account.
SESSION_MANAGER = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "ssm:UpdateInstanceInformation",
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            "Resource": "*",
        }
    ],
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class Access(pulumi.ComponentResource):
    """A security group that admits SSH from the networks of ``sshFrom`` only. The entrypoint adds HTTP to it."""

    group_id: pulumi.Output[str]
    key_name: pulumi.Output[str]
    profile: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        vpc: pulumi.Input[str],
        args: NetworkArgs[AwsSettings],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("gantry:aws:Access", name, None, opts)
        self._child_opts = pulumi.ResourceOptions(parent=self)
        label = naming.label(name, reserved=RESERVED_PREFIXES)
        group = aws.ec2.SecurityGroup(
            label, vpc_id=vpc, description=f"Servers of {name}", tags={"Name": label}, opts=self._child_opts
        )
        for network in args.settings.ssh_from:
            ssh_rule(f"{label}-ssh-{naming.label(network)}", group=group.id, network=network, opts=self._child_opts)
        aws.vpc.SecurityGroupEgressRule(
            f"{label}-out",
            security_group_id=group.id,
            ip_protocol="-1",
            cidr_ipv4=EVERYWHERE,
            description="Packages, and what the app asks for",
            tags={"Name": f"{label}-out"},
            opts=self._child_opts,
        )
        key = aws.ec2.KeyPair(label, public_key=args.public_key, opts=self._child_opts)
        self.group_id, self.key_name = group.id, key.key_name
        self.profile = self._instance_profile(label)
        self.register_outputs({"group_id": self.group_id, "key_name": self.key_name, "profile": self.profile})

    def _instance_profile(self, label: str) -> pulumi.Output[str]:
        role = aws.iam.Role(label, assume_role_policy=json.dumps(TRUST), opts=self._child_opts)
        policy = aws.iam.RolePolicy(label, role=role.name, policy=json.dumps(SESSION_MANAGER), opts=self._child_opts)
        opts = pulumi.ResourceOptions.merge(self._child_opts, pulumi.ResourceOptions(depends_on=[policy]))
        return aws.iam.InstanceProfile(label, role=role.name, opts=opts).name


def ssh_rule(name: str, *, group: pulumi.Input[str], network: str, opts: pulumi.ResourceOptions) -> None:
    """Admits SSH from one network, of IPv4 or IPv6."""
    v6 = ":" in network
    aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=group,
        ip_protocol="tcp",
        from_port=22,
        to_port=22,
        cidr_ipv4=None if v6 else network,
        cidr_ipv6=network if v6 else None,
        description="SSH",
        tags={"Name": name},
        opts=opts,
    )


def web_rule(
    name: str,
    *,
    group: pulumi.Input[str],
    port: int,
    opts: pulumi.ResourceOptions,
    source_group: pulumi.Input[str] | None = None,
) -> None:
    """Admits HTTP or HTTPS, from a security group or from anywhere."""
    aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=group,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        cidr_ipv4=None if source_group else EVERYWHERE,
        referenced_security_group_id=source_group,
        description="The balancer" if source_group else "Visitors",
        tags={"Name": name},
        opts=opts,
    )
