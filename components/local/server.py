"""A server that is a machine on this computer."""

from __future__ import annotations

import re

import pulumi
from pulumi_command import remote

from components.local.network import Network
from components.local.resources import MachineResource
from components.target import ServerArgs, first_connection


class Server(pulumi.ComponentResource):
    """A Debian machine with its own disk, systemd, cloud-init and sshd. `up` boots it again if it was stopped."""

    instance_id: pulumi.Output[str]
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]
    connection: remote.ConnectionArgs

    def __init__(self, name: str, args: ServerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:local:Server", name, None, opts)
        machine = MachineResource(
            name,
            network=args.network.network_id,
            hostname=hostname_of(name),
            user_data=args.user_data,
            image=args.image,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.instance_id = machine.id
        self.address = self.private_address = machine.address
        self.connection = first_connection(self.address, args)
        self.register_outputs(
            {
                "instance_id": self.instance_id,
                "address": self.address,
                "private_address": self.private_address,
                "connection": self.connection,
            }
        )


def hostname_of(name: str) -> str:
    """A host name made of the resource's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-") or "server"
