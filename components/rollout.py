"""Bringing servers to their manifest over SSH, batch after batch, stopping at the first that fails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_command import remote

from components.contact import Contact, Delivery, Host
from components.manifest import CONFIGURE_COMMAND, PREPARE_COMMAND, confirm_input
from components.revert import Revert

# The most that one batch takes once it is prepared, besides the switch itself: two minutes to connect, 90 s to start.
BATCH_SECONDS = 240


@dataclass(frozen=True, kw_only=True)
class RolloutArgs:
    """What every server should be: files to upload and the commands to run, see components/manifest.py.

    Without a ``tarball``, nothing is uploaded: the servers keep the release already.
    """

    host_program: Path
    host_program_path: str
    configuration: pulumi.Input[str]
    tarball: Path | None
    release: str
    release_command: str
    # On the first of several servers, which runs the release process.
    first_prepare_command: str
    release_input: pulumi.Input[str]
    # Whether the first server switches alone, before the others.
    canary: bool = True
    # Servers at a time.
    batch: int | None = None
    # The most that the health checks, the watch and the end of older processes take on one server.
    switch_seconds: int = 0

    @property
    def tarball_path(self) -> str:
        """Where the upload goes on a server."""
        return f"/opt/gantry/incoming/{self.release}.tar"

    def command(self, first: bool, migrated: bool = False, probation: int = 0) -> str:
        """``first`` is the one server that runs the release process, unless it has ``migrated`` already, and cron."""
        flags = {"--first": first, "--migrated": first and migrated, f"--probation {probation}": probation}
        return " ".join([self.release_command, *(flag for flag, given in flags.items() if given)])


class Rollout(pulumi.ComponentResource):
    """Every server serves the release, or ``up`` fails, names the first that doesn't, and none does."""

    release: pulumi.Output[str]
    host_keys: dict[str, pulumi.Output[str]]
    # Pinned to the servers' own host keys.
    connections: dict[str, remote.ConnectionArgs]
    # What the servers' configurations printed.
    configured: dict[str, pulumi.Output[str]]
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
        self.connections = {name: contact.connection for name, contact in self._contacts.items()}
        self.configured = {name: contact.configured.stdout for name, contact in self._contacts.items()}
        uploads = {host.name: self._upload(host) for host in hosts}
        if len(hosts) == 1:
            self.finished = [self._release(hosts[0], args.command(first=True), uploads[hosts[0].name])]
        else:
            self.finished = self._together(name, hosts, uploads)
        self.release = _once_done(self.finished, args.release)
        self.register_outputs({"release": self.release})

    def _together(
        self, name: str, hosts: Sequence[Host], uploads: dict[str, list[pulumi.Resource]]
    ) -> list[remote.Command]:
        """All prepare; then each batch switches, on probation, after the one before; then all are confirmed."""
        # Whatever takes long or needs a registry comes before the first switch, and so does the release process.
        before: Sequence[pulumi.Resource] = [
            self._prepare(host, uploads[host.name], first=host is hosts[0]) for host in hosts
        ]
        order = batches(list(hosts), self._args.batch, canary=self._args.canary)
        longest = BATCH_SECONDS + self._args.switch_seconds
        revert = Revert(name, {host.name: self._contacts[host.name].connection for host in hosts}, longest)
        probation = len(order) * longest
        released: dict[str, remote.Command] = {}
        for batch in order:
            before = [
                self._release(each, self._args.command(each is hosts[0], True, probation), before, revert)
                for each in batch
            ]
            released |= zip((each.name for each in batch), before, strict=True)
        return [
            self._confirm(each, self._args.command(each is hosts[0], True), released[each.name], [*released.values()])
            for each in hosts
        ]

    def _upload(self, host: Host) -> list[pulumi.Resource]:
        contact = self._contacts[host.name]
        if self._args.tarball is None:
            return [contact.configured]
        tarball = remote.CopyToRemote(
            f"{host.name}-artifact",
            connection=contact.connection,
            source=pulumi.FileAsset(str(self._args.tarball)),
            remote_path=self._args.tarball_path,
            triggers=[host.instance_id],
            opts=pulumi.ResourceOptions(parent=self),
        )
        return [contact.configured, tarball]

    def _prepare(self, host: Host, after: Sequence[pulumi.Resource], first: bool) -> remote.Command:
        if first:
            return self._run(host, "prepare", self._args.first_prepare_command, after, self._args.release_input)
        return self._run(host, "prepare", PREPARE_COMMAND.format(release=self._args.release), after)

    def _release(
        self, host: Host, command: str, after: Sequence[pulumi.Resource], revert: Revert | None = None
    ) -> remote.Command:
        hooks = pulumi.ResourceHookBinding(on_error=[revert.hook]) if revert else None
        return self._run(host, "release", command, after, self._args.release_input, hooks)

    def _confirm(
        self, host: Host, command: str, released: remote.Command, after: Sequence[pulumi.Resource]
    ) -> remote.Command:
        """The same command without a probation: it also releases where a server has gone back meanwhile.

        It is due again after each run of ``released``, also where the state's last confirmation reads the same: one
        that was made since may have got lost.
        """
        stdin = pulumi.Output.all(self._args.release_input, released.stdout).apply(lambda given: confirm_input(*given))
        return self._run(host, "confirm", command, after, pulumi.Output.secret(stdin))

    def _run(
        self,
        host: Host,
        role: str,
        command: str,
        after: Sequence[pulumi.Resource],
        stdin: pulumi.Input[str] | None = None,
        hooks: pulumi.ResourceHookBinding | None = None,
    ) -> remote.Command:
        return remote.Command(
            f"{host.name}-{role}",
            connection=self._contacts[host.name].connection,
            create=command,
            stdin=stdin,
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


def batches(hosts: list[Host], size: int | None = None, *, canary: bool = True) -> list[list[Host]]:
    """The order of a rollout: the first host alone, if it is a ``canary``, then ``size`` at a time.

    By default one at a time up to three hosts, else a third of all, rounded up; without a canary all at once.
    """
    alone, rest = (hosts[:1], hosts[1:]) if canary else ([], hosts)
    usual = (1 if len(hosts) <= 3 else math.ceil(len(hosts) / 3)) if canary else len(hosts)
    step = size or usual
    groups = [rest[start : start + step] for start in range(0, len(rest), step)]
    return [alone, *groups] if alone else groups
