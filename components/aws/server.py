"""A server on EC2."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components import naming
from components.aws.network import Network
from components.target import ServerArgs, ServerComponent

DISK_GB = 16


class Server(ServerComponent):
    """An instance whose metadata needs a token, and whose disk is encrypted."""

    def __init__(self, name: str, args: ServerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:aws:Server", name, None, opts)
        network, size = args.network, args.network.settings.size
        subnet = (
            network.subnet_in(args.volume.location)
            if args.volume
            else network.subnets[args.number % len(network.subnets)]
        )
        instance = aws.ec2.Instance(
            naming.label(name),
            ami=args.image or network.image(size),
            instance_type=size,
            subnet_id=subnet,
            vpc_security_group_ids=[network.access.group_id],
            key_name=network.access.key_name,
            iam_instance_profile=network.access.profile,
            # It holds the private host key of the first connection.
            user_data=pulumi.Output.secret(args.user_data),
            user_data_replace_on_change=True,
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                encrypted=True, volume_type="gp3", volume_size=DISK_GB
            ),
            tags={"Name": name},
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=network.provider,
                hooks=args.hooks,
                # The first boot needs the routes to the internet.
                depends_on=[network],
                # A change in place would stop the instance.
                replace_on_changes=["instanceType"],
                # An Elastic IP takes the instance's own address away for good.
                replacement_trigger="balancer" if args.balanced else "address",
            ),
        )
        self._register(
            args,
            instance_id=instance.id,
            address=instance.public_ip,
            private_address=instance.private_ip,
        )
