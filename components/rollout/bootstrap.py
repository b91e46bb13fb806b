"""The first SSH connection to a new server: wait, pin its host key, create the login of people, configure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.rollout.steps import LOGINS, READY, Command, Step, Upload
from components.ssh import ADMIN

# Until its own host key is confirmed, a server alternates each minute between that key and the first one. All attempts
# take 80 s if a server refuses them, and 200 s if it is dead and each one takes its whole time.
DIAL_ATTEMPTS, DIAL_SECONDS = 24, 5


@dataclass(frozen=True, kw_only=True)
class NewServer:
    """A server to bootstrap; ``connection`` is pinned to the host key of its user-data."""

    name: str
    instance_id: pulumi.Input[str]
    connection: remote.ConnectionArgs


class Bootstrap:
    """The steps of one server as resources, children of ``parent``: READY first, then ``steps``.

    ``connection`` is that of the user deploy, pinned to the server's own host key. ``admin`` is a known name as soon as
    the user admin can log in, with ``admin_key``.
    """

    host_key: pulumi.Output[str]
    connection: remote.ConnectionArgs
    admin: pulumi.Output[str]

    def __init__(
        self,
        parent: pulumi.Resource,
        server: NewServer,
        steps: Sequence[Step],
        depends_on: Sequence[pulumi.Resource] = (),
        *,
        admin_key: pulumi.Input[str],
    ) -> None:
        self._parent, self._server = parent, server
        # Runs once in the life of a server. When a stopped EC2 instance starts again, it has another address but the
        # same host key, and the later steps use that address.
        ready = self._command(READY, server.connection, pulumi.ResourceOptions(ignore_changes=["connection"]))
        self.host_key = ready.stdout.apply(str.strip)
        self.connection = _pinned(server.connection, self.host_key)
        self._admin_connection = _pinned(
            server.connection, self.host_key, user=ADMIN, private_key=pulumi.Output.secret(admin_key)
        )
        self._resources: dict[str, pulumi.Resource] = {}
        self.add(steps, depends_on)
        self.admin = self._stdout(LOGINS).apply(lambda _: ADMIN)

    @property
    def resources(self) -> list[pulumi.Resource]:
        """The resources of all steps so far."""
        return list(self._resources.values())

    @property
    def configured(self) -> pulumi.Output[str]:
        """What the configuration printed; no two runs print the same."""
        return self._stdout("configure")

    def _stdout(self, role: str) -> pulumi.Output[str]:
        command = self._resources[role]
        assert isinstance(command, remote.Command)
        return command.stdout

    def add(self, steps: Sequence[Step], depends_on: Sequence[pulumi.Resource] = ()) -> None:
        """Add ``steps`` in their order."""
        for step in steps:
            if isinstance(step, Upload):
                self._resources[step.role] = self._upload(step)
            else:
                self.run(step, depends_on)

    def run(
        self,
        step: Command,
        depends_on: Sequence[pulumi.Resource] = (),
        hooks: pulumi.ResourceHookBinding | None = None,
    ) -> remote.Command:
        """Add a command that waits for all steps so far and for ``depends_on``."""
        options = pulumi.ResourceOptions(
            depends_on=[*self.resources, *depends_on],
            hooks=hooks,
            additional_secret_outputs=["stdout"] if step.secret_output else None,
        )
        command = self._command(step, self._connection_of(step), options)
        self._resources[step.role] = command
        return command

    def _command(
        self, step: Command, connection: remote.ConnectionArgs, options: pulumi.ResourceOptions
    ) -> remote.Command:
        return remote.Command(
            f"{self._server.name}-{step.role}",
            connection=connection,
            create=step.text,
            stdin=step.stdin,
            triggers=[self._server.instance_id, *step.triggers],
            logging=step.logging,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self._parent), options),
        )

    def _connection_of(self, step: Step) -> remote.ConnectionArgs:
        return self._admin_connection if step.as_admin else self.connection

    def _upload(self, step: Upload) -> remote.CopyToRemote:
        # The first step creates the user admin.
        before = self.resources if step.as_admin else []
        return remote.CopyToRemote(
            f"{self._server.name}-{step.role}",
            connection=self._connection_of(step),
            source=pulumi.FileAsset(str(step.file)),
            remote_path=step.path,
            triggers=[self._server.instance_id],
            opts=pulumi.ResourceOptions(parent=self._parent, depends_on=before),
        )


def _pinned(
    first: remote.ConnectionArgs,
    host_key: pulumi.Input[str],
    *,
    user: str | None = None,
    private_key: pulumi.Input[str] | None = None,
) -> remote.ConnectionArgs:
    """The first connection with another host key, and perhaps as another user."""
    return remote.ConnectionArgs(
        host=first.host,
        user=user or first.user,
        private_key=private_key or first.private_key,
        host_key=host_key,
        dial_error_limit=DIAL_ATTEMPTS,
        per_dial_timeout=DIAL_SECONDS,
    )
