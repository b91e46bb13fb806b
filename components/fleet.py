"""What a stack consists of: network, servers, entrypoint (a balancer or an address) and rollout. Traffic moves last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import pulumi

from components import target_loader
from components.app.source import Release
from components.keys import SshKeyPair
from components.rollout.bootstrap import NewServer
from components.rollout.rollout import ReleasedServer, Rollout
from components.rollout.steps import RolloutArgs
from components.server import commands, host_program
from components.server.configuration import configuration
from components.server.host_program import HostProgram
from components.server.user_data import USER, user_data
from components.settings.common import Settings, TargetSettings
from components.target import (
    AddressArgs,
    Balancer,
    BalancerArgs,
    Entrypoint,
    NetworkArgs,
    Server,
    ServerArgs,
    Target,
    identity,
)
from host import times

N = TypeVar("N")


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The stack's outputs. Servers and balancer have ``name``, ``address``, ``instance_id``, ``host_key``.

    ``balancer`` is None without a balancer, and also with a cloud's balancer, which isn't a machine of the stack.
    """

    url: pulumi.Output[str]
    release: pulumi.Output[str]
    servers: list[dict[str, Any]]
    new_servers: list[dict[str, Any]]
    balancer: dict[str, Any] | None
    key: SshKeyPair


def build(stack: str, settings: Settings, release: Release, generated: Path) -> Fleet:
    """Declares the resources that ``settings`` describe, with ``release`` on every server.

    ``generated`` is a folder on this computer for files that are uploaded later.
    """
    target = target_loader.load(settings.target)
    key = SshKeyPair(f"{stack}-deploy")
    network = target.Network(stack, NetworkArgs(settings=settings.target_settings, public_key=key.public_key))
    builder = _FleetBuilder(
        stack=stack,
        settings=settings,
        target=target,
        network=network,
        key=key,
        program=host_program.pack(generated),
    )
    balancer = builder.balancer() if settings.balancer else None
    servers = {f"{stack}-{number}": builder.server(number) for number in range(settings.servers)}
    rollout = builder.rollout_args(release, balancer)
    entrypoint = balancer or builder.address(servers[f"{stack}-0"], rollout)
    return _roll_out(stack, servers, entrypoint=entrypoint, args=rollout, key=key)


@dataclass(frozen=True, kw_only=True)
class _FleetBuilder(Generic[N]):
    """Declares balancer, servers and address, which share these values."""

    stack: str
    settings: Settings
    target: Target[N, TargetSettings]
    network: N
    key: SshKeyPair
    program: HostProgram

    def balancer(self) -> Balancer:
        args = BalancerArgs(
            network=self.network,
            health_path=self.settings.health_path,
            health_status=self.settings.health_status,
            drain_seconds=times.GRACEFUL_SECONDS,
            domain=self.settings.domain,
            key=self.key,
            host_program=self.program,
        )
        return self.target.Balancer(f"{self.stack}-balancer", args)

    def server(self, number: int) -> Server:
        name = f"{self.stack}-{number}"
        host_key = SshKeyPair(f"{name}-first-host-key")
        args = ServerArgs(
            network=self.network,
            user_data=identity(name, self.key, host_key).apply(user_data),
            user=USER,
            private_key=self.key.private_key,
            host_key=host_key.public_key,
            number=number,
            balanced=self.settings.balancer,
        )
        return self.target.Server(name, args)

    def address(self, server: Server, rollout: RolloutArgs) -> Entrypoint:
        args = AddressArgs(network=self.network, server=server, rollout=rollout, domain=self.settings.domain)
        return self.target.Address(f"{self.stack}-address", args)

    def rollout_args(self, release: Release, balancer: Balancer | None) -> RolloutArgs:
        settings, program = self.settings, self.program.path
        config = configuration(settings, program)
        document: pulumi.Input[str] = config.document()
        if balancer:
            document = balancer.sender_ranges.apply(
                lambda senders: configuration(settings, program, senders).document()
            )
        release_input = commands.release_input(
            settings.env, release=release.name, stack=self.stack, revision=release.revision
        )
        return RolloutArgs(
            host_program=self.program,
            configuration=document,
            release=release,
            release_command=commands.release(release.name, config, settings),
            prepare_command=commands.prepare(release.name, config, settings),
            release_input=pulumi.Output.secret(release_input),
            canary=settings.canary,
            batch=settings.batch,
            server_seconds=_server_seconds(settings),
        )


def _server_seconds(settings: Settings) -> int:
    """The longest time from the start of a web process to the end of a release on one server."""
    checks = 2 * settings.health_timeout + settings.watch
    return settings.start_timeout + checks + settings.stop_timeout


def _roll_out(
    stack: str, servers: Mapping[str, Server], *, entrypoint: Entrypoint, args: RolloutArgs, key: SshKeyPair
) -> Fleet:
    new_servers = [
        NewServer(name=name, instance_id=server.instance_id, connection=entrypoint.connection_to(server))
        for name, server in servers.items()
    ]
    rollout = Rollout("rollout", new_servers, args)
    released = [
        ReleasedServer(
            name=name,
            instance_id=server.instance_id,
            private_address=server.private_address,
            connection=rollout.connections[name],
            configured=rollout.configured[name],
        )
        for name, server in servers.items()
    ]
    machine = entrypoint.attach(released, rollout.finished)
    outputs = [
        _output(
            server.name,
            address=server.connection.host,
            instance_id=server.instance_id,
            host_key=rollout.host_keys[server.name],
        )
        for server in released
    ]
    balancer = None
    if machine:
        balancer = _output(
            f"{stack}-balancer",
            address=entrypoint.address,
            instance_id=machine.instance_id,
            host_key=machine.host_key,
        )
    return Fleet(
        url=entrypoint.url,
        release=rollout.release,
        servers=outputs,
        new_servers=_new_servers(servers),
        balancer=balancer,
        key=key,
    )


def _new_servers(servers: Mapping[str, Server]) -> list[dict[str, Any]]:
    """The servers' outputs before the rollout."""
    return [
        _output(name, address=server.address, instance_id=server.instance_id, host_key=server.connection.host_key)
        | {"first_host_key": True}
        for name, server in servers.items()
    ]


def _output(
    name: str, *, address: pulumi.Input[str], instance_id: pulumi.Output[str], host_key: pulumi.Input[str] | None
) -> dict[str, Any]:
    return {"name": name, "address": address, "instance_id": instance_id, "host_key": host_key}
