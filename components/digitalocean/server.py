"""A server on DigitalOcean."""

from __future__ import annotations

import pulumi
import pulumi_digitalocean as do

from components import naming
from components.digitalocean.network import LONG_DELETE, Network
from components.target import ServerArgs, ServerComponent

# DigitalOcean renews the image of this name for new droplets. An existing droplet keeps its build.
IMAGE = "debian-13-x64"


class Server(ServerComponent):
    """A droplet that has a firewall, a key and monitoring from its first second."""

    def __init__(self, name: str, args: ServerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:digitalocean:Server", name, None, opts)
        network = args.network
        droplet = do.Droplet(
            naming.label(name),
            image=args.image or IMAGE,
            size=network.settings.size,
            region=network.region,
            vpc_uuid=network.vpc_id,
            ssh_keys=[network.key],
            monitoring=True,
            tags=[network.tag],
            # It holds the private host key of the first connection.
            user_data=pulumi.Output.secret(args.user_data),
            backups=network.settings.backups,
            # The firewall comes first. A change of the size in place would power the droplet off.
            opts=pulumi.ResourceOptions(
                parent=self,
                hooks=args.hooks,
                depends_on=[network],
                replace_on_changes=["size"],
                custom_timeouts=LONG_DELETE,
            ),
        )
        self._register(
            args,
            instance_id=droplet.id,
            address=droplet.ipv4_address,
            private_address=droplet.ipv4_address_private,
        )
