"""A server that is a machine on this computer."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.local.network import Network
from components.local.resources import MachineResource

# With pulumi-command's growing pauses of up to 5 s between them, these last about five minutes.
_DIALS_AT_FIRST_CONTACT = 70


@dataclass(frozen=True, kw_only=True)
class ServerArgs:
    network: Network
    user_data: pulumi.Input[str]  # for cloud-init; another one makes another machine
    user: str  # who logs in
    private_key: pulumi.Input[str]  # of that user, in OpenSSH's format
    host_key: pulumi.Input[str]  # public key that the machine must show at first contact
    image: str | None = None  # digest of a base image to stay on; None takes the newest for new machines


class Server(pulumi.ComponentResource):
    """A Debian machine with its own disk, systemd, cloud-init and sshd, booted again when found stopped."""

    instance_id: pulumi.Output[str]
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]
    connection: remote.ConnectionArgs

    def __init__(self, name: str, args: ServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
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
        self.connection = remote.ConnectionArgs(
            host=self.address,
            user=args.user,
            private_key=args.private_key,
            host_key=args.host_key,
            dial_error_limit=_DIALS_AT_FIRST_CONTACT,
        )
        self.register_outputs(
            {
                "instance_id": self.instance_id,
                "address": self.address,
                "private_address": self.private_address,
                "connection": self.connection,
            }
        )


def hostname_of(name: str) -> str:
    """The resource's name as far as a host name may hold it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-") or "server"
