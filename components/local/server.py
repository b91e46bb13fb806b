"""A server that is a machine on this computer."""

from __future__ import annotations

import re

import pulumi

from components.local.network import Network
from components.local.resources import MachineResource
from components.target import ServerArgs, ServerComponent


class Server(ServerComponent):
    """A Debian machine with its own disk, systemd, cloud-init and sshd. `up` boots it again if it was stopped."""

    def __init__(self, name: str, args: ServerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:local:Server", name, None, opts)
        machine = MachineResource(
            name,
            network=args.network.network_id,
            hostname=hostname_of(name),
            user_data=args.user_data,
            image=args.image,
            volume=args.volume.location if args.volume else None,
            opts=pulumi.ResourceOptions(parent=self, hooks=args.hooks),
        )
        self._register(
            args,
            instance_id=machine.id,
            address=machine.address,
            private_address=machine.address,
        )


def hostname_of(name: str) -> str:
    """A host name made of the resource's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-") or "server"
