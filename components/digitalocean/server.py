"""A server on DigitalOcean."""

from __future__ import annotations

import pulumi
import pulumi_digitalocean as do
from pulumi_command import remote

from components import names
from components.digitalocean.network import PATIENCE, Network
from components.target import ServerArgs, first_contact

SIZE = "s-1vcpu-1gb"
# A droplet that is there keeps the build that it was made from; DigitalOcean renews what new ones get.
IMAGE = "debian-13-x64"


class Server(pulumi.ComponentResource):
    """A droplet that is born with a firewall, a key, and monitoring."""

    instance_id: pulumi.Output[str]
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]
    connection: remote.ConnectionArgs

    def __init__(self, name: str, args: ServerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:digitalocean:Server", name, None, opts)
        network = args.network
        droplet = do.Droplet(
            names.label(name),
            image=args.image or IMAGE,
            size=args.size or SIZE,
            region=network.region,
            vpc_uuid=network.vpc_id,
            ssh_keys=[network.key],
            monitoring=True,
            tags=[network.tag],
            # It holds the key that the machine is known by at first contact.
            user_data=pulumi.Output.secret(args.user_data),
            backups=args.backups,
            # The firewall is there before the droplet. In place, another size would power it off.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[network], replace_on_changes=["size"], custom_timeouts=PATIENCE
            ),
        )
        self.instance_id = droplet.id
        self.address, self.private_address = droplet.ipv4_address, droplet.ipv4_address_private
        self.connection = first_contact(self.address, args)
        self.register_outputs(
            {
                "instance_id": self.instance_id,
                "address": self.address,
                "private_address": self.private_address,
                "connection": self.connection,
            }
        )
