"""From a machine that has just booted to one that is configured, over connections that are checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_command import remote

from components.manifest import READY_COMMAND

# Enough attempts for two minutes: until the machine's own host key is confirmed, it takes turns with the first one.
DIAL_ATTEMPTS = 30


@dataclass(frozen=True, kw_only=True)
class Host:
    """A machine to be delivered to; ``first_contact`` is pinned to the host key of its user-data."""

    name: str
    instance_id: pulumi.Input[str]
    first_contact: remote.ConnectionArgs


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What is delivered before any release: the host program, its path there, and a configuration that it applies."""

    host_program: Path
    host_program_path: str
    configure_command: str
    configuration: pulumi.Input[str]


class Contact:
    """ready -> host-program -> configure: the commands of one machine, as children of ``parent``."""

    host_key: pulumi.Output[str]
    connection: remote.ConnectionArgs
    configured: remote.Command

    def __init__(
        self, parent: pulumi.Resource, host: Host, delivery: Delivery, depends_on: list[pulumi.Resource] | None = None
    ) -> None:
        child = pulumi.ResourceOptions(parent=parent)
        ready = remote.Command(
            f"{host.name}-ready",
            connection=host.first_contact,
            create=READY_COMMAND,
            triggers=[host.instance_id],
            logging=remote.Logging.STDERR,
            add_previous_output_in_env=False,
            # Once in the life of a machine: with another address (an instance that was stopped and started) it still is
            # the same, and shows its own key. What comes after goes to that address.
            opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["connection"]),
        )
        self.host_key = ready.stdout.apply(str.strip)
        self.connection = _connection(host, self.host_key)
        program = remote.CopyToRemote(
            f"{host.name}-host-program",
            connection=self.connection,
            source=pulumi.FileAsset(str(delivery.host_program)),
            remote_path=delivery.host_program_path,
            triggers=[host.instance_id],
            opts=child,
        )
        self.configured = remote.Command(
            f"{host.name}-configure",
            connection=self.connection,
            create=delivery.configure_command.format(host_program=delivery.host_program_path),
            stdin=delivery.configuration,
            triggers=[host.instance_id],
            logging=remote.Logging.NONE,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[program, *(depends_on or [])]),
        )


def _connection(host: Host, host_key: pulumi.Input[str]) -> remote.ConnectionArgs:
    first = host.first_contact
    return remote.ConnectionArgs(
        host=first.host,
        user=first.user,
        private_key=first.private_key,
        host_key=host_key,
        dial_error_limit=DIAL_ATTEMPTS,
    )
