"""Brings all servers to a release over SSH, batch after batch, and stops at the first one that fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.rollout import steps
from components.rollout.bootstrap import Bootstrap, NewServer
from components.rollout.rollback import RollbackHook
from components.rollout.steps import RolloutArgs
from components.volumes import Unmount

# Limit for one prepared batch, besides the release itself: two minutes to connect, and some room.
BATCH_SECONDS = 120 + 30

# Attaches the volume to the single server, after these resources.
Attach = Callable[[Sequence[pulumi.Resource]], pulumi.CustomResource]


@dataclass(frozen=True, kw_only=True)
class ReleasedServer:
    """A server that serves the release; ``connection`` is pinned to its own host key."""

    name: str
    instance_id: pulumi.Output[str]
    private_address: pulumi.Output[str]
    connection: remote.ConnectionArgs
    configured: pulumi.Output[str]  # printed by its configuration, different in each run


class Rollout(pulumi.ComponentResource):
    """Brings every server to the release. If one fails, `up` names it and fails, and no server serves the release."""

    release: pulumi.Output[str]
    host_keys: dict[str, pulumi.Output[str]]
    # The names of the users for people, known as soon as they can log in.
    admins: dict[str, pulumi.Output[str]]
    # Of the user deploy, pinned to the servers' own host keys.
    connections: dict[str, remote.ConnectionArgs]
    # Printed by the servers' configurations.
    configured: dict[str, pulumi.Output[str]]
    # The last command of each server.
    finished: list[remote.Command]

    def __init__(
        self,
        name: str,
        servers: Sequence[NewServer],
        args: RolloutArgs,
        *,
        attach: Attach | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("gantry:release:Rollout", name, None, opts)
        self._name, self._args = name, args
        before_release = steps.before_release(args)
        self._servers = {
            server.name: Bootstrap(self, server, before_release, admin_key=args.logins.admin_key) for server in servers
        }
        self.host_keys = {name: server.host_key for name, server in self._servers.items()}
        self.admins = {name: server.admin for name, server in self._servers.items()}
        self.connections = {name: server.connection for name, server in self._servers.items()}
        self.configured = {name: server.configured for name, server in self._servers.items()}
        if len(servers) == 1:
            self.finished = [self._release_alone(servers[0].name, attach)]
        else:
            self.finished = self._release_together()
        self.release = _known_after(self.finished, args.release.name)
        self.register_outputs({"release": self.release})

    def run(self, server: str, step: steps.Command, depends_on: Sequence[pulumi.Resource]) -> remote.Command:
        """Add a command that runs on a server after its release, and after ``depends_on``."""
        return self._servers[server].run(step, depends_on)

    def _release_alone(self, name: str, attach: Attach | None) -> remote.Command:
        """Without a volume that is the release alone. Else the server prepares it, and gets the volume before it."""
        server = self._servers[name]
        if attach:
            prepared = server.run(steps.prepare(self._args, first=False))
            attachment = attach([prepared])
            unmount = Unmount(name, server.connection, attachment, pulumi.ResourceOptions(parent=self))
            server.run(steps.mount_volume(self._args), [attachment, unmount])
        return server.run(steps.release(self._args, first=True))

    def _release_together(self) -> list[remote.Command]:
        """All servers prepare. Then batch after batch switches, on probation. Then all are confirmed."""
        names = list(self._servers)
        first = names[0]
        order = batches(names, self._args.batch, canary=self._args.canary)
        batch_seconds = BATCH_SECONDS + self._args.server_seconds
        rollback = RollbackHook(self._name, self.connections, wait_seconds=batch_seconds)
        hooks = pulumi.ResourceHookBinding(on_error=[rollback.hook])
        # Everything that takes long or needs a package registry comes before the first switch.
        before: Sequence[pulumi.Resource] = [
            server.run(steps.prepare(self._args, first=name == first)) for name, server in self._servers.items()
        ]
        released: dict[str, remote.Command] = {}
        for batch in order:
            switches = {
                name: steps.release(
                    self._args, first=name == first, migrated=True, probation=len(order) * batch_seconds
                )
                for name in batch
            }
            before = [self._servers[name].run(step, before, hooks) for name, step in switches.items()]
            released |= zip(batch, before, strict=True)
        return [
            server.run(
                steps.confirm(self._args, first=name == first, release_output=released[name].stdout),
                list(released.values()),
            )
            for name, server in self._servers.items()
        ]


def _known_after(commands: Sequence[remote.Command], release: str) -> pulumi.Output[str]:
    """The release as an output that is known when the commands have succeeded, and in a preview at once."""
    if pulumi.runtime.is_dry_run():
        return pulumi.Output.from_input(release)
    return pulumi.Output.all(*[command.stdout for command in commands]).apply(lambda _: release)


def batches(servers: Sequence[str], size: int | None = None, *, canary: bool = True) -> list[list[str]]:
    """The order of a rollout: with a ``canary`` the first server alone, then ``size`` servers at a time.

    The usual size with a canary is one for up to three servers, else a third of all, rounded up. Without a canary it is
    all servers.
    """
    first, others = list(servers[:1] if canary else ()), list(servers[1:] if canary else servers)
    usual_with_canary = 1 if len(servers) <= 3 else math.ceil(len(servers) / 3)
    step = size or (usual_with_canary if canary else len(servers))
    groups = [others[start : start + step] for start in range(0, len(others), step)]
    return [first, *groups] if first else groups
