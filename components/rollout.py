"""Bringing servers to their manifest over SSH, batch after batch, stopping at the first that fails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_command import remote

from components.contact import Contact, Delivery, Host
from components.manifest import CONFIGURE_COMMAND, PREPARE_COMMAND
from components.revert import Revert

# The most that one batch takes once it is prepared: two minutes to connect, 90 s to start, and two health checks.
BATCH_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class RolloutArgs:
    """What every server should be: files to upload and the commands to run, see components/manifest.py."""

    host_program: Path
    host_program_path: str
    configuration: pulumi.Input[str]
    tarball: Path
    release: str
    release_command: str
    release_input: pulumi.Input[str]
    batch: int | None = None  # servers at a time, after the first


class Rollout(pulumi.ComponentResource):
    """Every server serves the release, or ``up`` fails, names the first that doesn't, and none does."""

    release: pulumi.Output[str]
    host_keys: dict[str, pulumi.Output[str]]
    finished: list[remote.Command]

    def __init__(
        self, name: str, hosts: Sequence[Host], args: RolloutArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gantry:release:Rollout", name, None, opts)
        self._args = args
        delivery = Delivery(
            host_program=args.host_program,
            host_program_path=args.host_program_path,
            configure_command=CONFIGURE_COMMAND,
            configuration=args.configuration,
        )
        self._contacts = {host.name: Contact(self, host, delivery) for host in hosts}
        self.host_keys = {host.name: self._contacts[host.name].host_key for host in hosts}
        uploads = {host.name: self._upload(host) for host in hosts}
        if len(hosts) == 1:
            self.finished = [self._release(hosts[0], args.release_command, uploads[hosts[0].name])]
        else:
            self.finished = self._together(name, hosts, uploads)
        self.release = _once_done(self.finished, args.release)
        self.register_outputs({"release": self.release})

    def _together(
        self, name: str, hosts: Sequence[Host], uploads: dict[str, list[pulumi.Resource]]
    ) -> list[remote.Command]:
        """All prepare; then each batch switches, in probation, after the one before; then all are confirmed."""
        # Whatever takes long or needs a registry comes before the first switch.
        before: Sequence[pulumi.Resource] = [self._prepare(host, uploads[host.name]) for host in hosts]
        order = batches(list(hosts), self._args.batch)
        probation = f"{self._args.release_command} --probation {len(order) * BATCH_SECONDS}"
        revert = Revert(name, {host.name: self._contacts[host.name].connection for host in hosts})
        released: list[pulumi.Resource] = []
        for batch in order:
            before = [self._release(host, probation, before, revert) for host in batch]
            released += before
        # The same command without a probation: it also releases where a server has gone back meanwhile.
        return [self._release(host, self._args.release_command, released, revert, "confirm") for host in hosts]

    def _upload(self, host: Host) -> list[pulumi.Resource]:
        contact = self._contacts[host.name]
        tarball = remote.CopyToRemote(
            f"{host.name}-artifact",
            connection=contact.connection,
            source=pulumi.FileAsset(str(self._args.tarball)),
            remote_path=f"/opt/gantry/incoming/{self._args.release}.tar",
            triggers=[host.instance_id],
            opts=pulumi.ResourceOptions(parent=self),
        )
        return [contact.configured, tarball]

    def _prepare(self, host: Host, after: Sequence[pulumi.Resource]) -> remote.Command:
        return remote.Command(
            f"{host.name}-prepare",
            connection=self._contacts[host.name].connection,
            create=PREPARE_COMMAND.format(release=self._args.release),
            triggers=[host.instance_id],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

    def _release(
        self,
        host: Host,
        command: str,
        after: Sequence[pulumi.Resource],
        revert: Revert | None = None,
        role: str = "release",
    ) -> remote.Command:
        hooks = pulumi.ResourceHookBinding(on_error=[revert.hook]) if revert else None
        return remote.Command(
            f"{host.name}-{role}",
            connection=self._contacts[host.name].connection,
            create=command,
            stdin=self._args.release_input,
            triggers=[host.instance_id],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after, hooks=hooks),
        )


def _once_done(commands: Sequence[remote.Command], release: str) -> pulumi.Output[str]:
    """The release, known only when the commands have succeeded; a preview says at once what it would be."""
    if pulumi.runtime.is_dry_run():
        return pulumi.Output.from_input(release)
    return pulumi.Output.all(*[command.stdout for command in commands]).apply(lambda _: release)


def batches(hosts: list[Host], size: int | None = None) -> list[list[Host]]:
    """The order of a rollout: the first host alone, then ``size`` at a time.

    By default one at a time up to three hosts, else a third of all, rounded up.
    """
    step = size or (1 if len(hosts) <= 3 else math.ceil(len(hosts) / 3))
    rest = hosts[1:]
    return [hosts[:1], *(rest[start : start + step] for start in range(0, len(rest), step))]
