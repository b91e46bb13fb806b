"""Bringing servers to their manifest over SSH, in order, stopping at the first that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_command import remote

from components.manifest import CONFIGURE_COMMAND, READY_COMMAND

# Enough attempts for two minutes: until the server's own host key is confirmed, it takes turns with the first one.
DIAL_ATTEMPTS = 30


@dataclass(frozen=True, kw_only=True)
class Host:
    """A server as the rollout sees it; ``first_contact`` is pinned to the host key of its user-data."""

    name: str
    instance_id: pulumi.Input[str]
    first_contact: remote.ConnectionArgs


@dataclass(frozen=True, kw_only=True)
class RolloutArgs:
    """What every server should be: files to upload and the commands to run, see components/manifest.py.

    Without a ``tarball``, nothing is uploaded: the servers keep the release already.
    """

    host_program: Path
    host_program_path: str
    configuration: str
    tarball: Path | None
    release: str
    release_command: str
    release_input: pulumi.Input[str]


class Rollout(pulumi.ComponentResource):
    """Every server serves the release, or ``up`` fails and names the first that doesn't."""

    release: pulumi.Output[str]
    host_keys: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, hosts: Sequence[Host], args: RolloutArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gantry:release:Rollout", name, None, opts)
        self._args = args
        self.host_keys = {}
        last: list[remote.Command] = []
        for host in hosts:
            last = [self._deliver(host, last)]
        self.release = _once_done(last, args.release)
        self.register_outputs({"release": self.release})

    def _deliver(self, host: Host, after: Sequence[pulumi.Resource]) -> remote.Command:
        """ready -> configure -> release, on one server, once ``after`` is done."""
        args, child = self._args, pulumi.ResourceOptions(parent=self)
        ready = remote.Command(
            f"{host.name}-ready",
            connection=host.first_contact,
            create=READY_COMMAND,
            triggers=[host.instance_id],
            logging=remote.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=child,
        )
        self.host_keys[host.name] = ready.stdout.apply(str.strip)
        connection = _connection(host, self.host_keys[host.name])
        program = remote.CopyToRemote(
            f"{host.name}-host-program",
            connection=connection,
            source=pulumi.FileAsset(str(args.host_program)),
            remote_path=args.host_program_path,
            triggers=[host.instance_id],
            opts=child,
        )
        configure = remote.Command(
            f"{host.name}-configure",
            connection=connection,
            create=CONFIGURE_COMMAND.format(host_program=args.host_program_path),
            stdin=args.configuration,
            triggers=[host.instance_id],
            logging=remote.Logging.NONE,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[program]),
        )
        uploads = [self._upload(host, connection, args.tarball)] if args.tarball else []
        return remote.Command(
            f"{host.name}-release",
            connection=connection,
            # On one server only: the release process before any server switches, and cron.
            create=args.release_command if after else f"{args.release_command} --first",
            stdin=args.release_input,
            triggers=[host.instance_id],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[configure, *uploads, *after]),
        )

    def _upload(self, host: Host, connection: remote.ConnectionArgs, tarball: Path) -> pulumi.Resource:
        return remote.CopyToRemote(
            f"{host.name}-artifact",
            connection=connection,
            source=pulumi.FileAsset(str(tarball)),
            remote_path=f"/opt/gantry/incoming/{self._args.release}.tar",
            triggers=[host.instance_id],
            opts=pulumi.ResourceOptions(parent=self),
        )


def _once_done(commands: Sequence[remote.Command], release: str) -> pulumi.Output[str]:
    """The release, known only when the commands have succeeded; a preview says at once what it would be."""
    if pulumi.runtime.is_dry_run():
        return pulumi.Output.from_input(release)
    return pulumi.Output.all(*[command.stdout for command in commands]).apply(lambda _: release)


def _connection(host: Host, host_key: pulumi.Input[str]) -> remote.ConnectionArgs:
    first = host.first_contact
    return remote.ConnectionArgs(
        host=first.host,
        user=first.user,
        private_key=first.private_key,
        host_key=host_key,
        dial_error_limit=DIAL_ATTEMPTS,
    )
