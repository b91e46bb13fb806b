"""What a stack consists of: network, servers, entrypoint (a balancer or an address) and rollout. Traffic moves last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import pulumi

from components import described, stack_state, target_loader, volumes
from components.app.source import Release
from components.data_guard import DataGuard
from components.keys import SshKeyPair
from components.rollout import certificate as certificates
from components.rollout import login
from components.rollout.bootstrap import NewServer
from components.rollout.certificate import ServerCertificate
from components.rollout.login import Logins
from components.rollout.rollout import ReleasedServer, Rollout
from components.rollout.steps import RolloutArgs
from components.server import commands, host_program
from components.server.configuration import configuration
from components.server.host_program import HostProgram
from components.server.limits import limits
from components.server.program_files import program_files
from components.server.updates import updates
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
    Volume,
    VolumeArgs,
    identity,
)
from components.variables import Variable, combined
from host import times

N = TypeVar("N")


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The stack's outputs. Servers and balancer have ``name``, ``address``, ``instance_id``, ``host_key``, ``user``.

    ``user`` is known when that user can log in with ``admin_key``. Servers that aren't there yet, and those of earlier
    versions, have only the user deploy, who logs in with ``deploy_key``.

    ``balancer`` is None without a balancer, and also with a cloud's balancer, which isn't a machine of the stack.
    """

    url: pulumi.Output[str]
    release: pulumi.Output[str]
    servers: list[dict[str, Any]]
    # The same before their rollout, and before the user for people exists.
    new_servers: list[dict[str, Any]]
    reached_servers: list[dict[str, Any]]
    balancer: dict[str, Any] | None
    deploy_key: pulumi.Output[str]
    admin_key: pulumi.Output[str]
    health: dict[str, Any]


def build(
    stack: str, settings: Settings, release: Release, *, generated: Path, env: Mapping[str, Variable] | None = None
) -> Fleet:
    """Declares the resources that ``settings`` describe, with ``release`` on every server.

    ``generated`` is a folder on this computer for files that are uploaded later. ``env`` adds variables to those
    of the settings: texts and numbers, or outputs of other resources, such as a bucket's name. Raises UserError for a
    name that no variable can have, or that the settings have, too.
    """
    variables = combined(settings.env, env or {})
    target = target_loader.load(settings.target)
    state = stack_state.read()
    settings = certificates.with_default(settings, state)
    guard = DataGuard(
        stack,
        state=state,
        target=settings.target,
        names=[f"{stack}-{number}" for number in range(settings.servers)],
        lose_data=settings.lose_data,
        can_have_volume=settings.servers == 1,
    )
    key, admin = SshKeyPair(f"{stack}-deploy"), SshKeyPair(f"{stack}-admin")
    network = target.Network(
        stack,
        NetworkArgs(
            settings=settings.target_settings, public_key=key.public_key, hooks=guard.before_creation_of_all(stack)
        ),
    )
    builder = _FleetBuilder(
        stack=stack,
        settings=settings,
        target=target,
        network=network,
        key=key,
        logins=login.of_keys(admin=admin, deploy=key),
        guard=guard,
        program=host_program.pack(generated),
        variables=variables,
    )
    balancer = builder.balancer() if settings.balancer else None
    volume = builder.volume()
    servers = {f"{stack}-{number}": builder.server(number, volume) for number in range(settings.servers)}
    rollout = builder.rollout_args(release, balancer, volume)
    if certificate := certificates.of(f"{stack}-0", settings, state):
        instance_id = pulumi.Output.from_input(servers[f"{stack}-0"].instance_id)
        rollout = replace(rollout, give_certificate=certificate.before_release(instance_id))
    entrypoint = balancer or builder.address(servers[f"{stack}-0"], rollout, volume)
    keys = {"deploy_key": key.private_key, "admin_key": admin.private_key}
    return _roll_out(
        stack,
        servers,
        entrypoint=entrypoint,
        args=rollout,
        volume=volume,
        certificate=certificate,
        health=described.health(settings),
        **keys,
    )


@dataclass(frozen=True, kw_only=True)
class _FleetBuilder(Generic[N]):
    """Declares balancer, servers and address, which share these values."""

    stack: str
    settings: Settings
    target: Target[N, TargetSettings]
    network: N
    key: SshKeyPair
    logins: Logins
    guard: DataGuard
    program: HostProgram
    variables: pulumi.Output[dict[str, str]]

    def balancer(self) -> Balancer:
        args = BalancerArgs(
            network=self.network,
            health_path=self.settings.health_path,
            health_status=self.settings.health_status,
            drain_seconds=times.removal_seconds(self.settings.request_timeout, self.settings.drain_timeout),
            domain=self.settings.domain,
            key=self.key,
            logins=self.logins,
            host_program=self.program,
            limits=limits(self.settings),
            updates=updates(self.settings),
        )
        return self.target.Balancer(f"{self.stack}-balancer", args)

    def volume(self) -> Volume | None:
        if self.settings.storage is None:
            return None
        args = VolumeArgs(
            network=self.network,
            gigabytes=self.settings.storage,
            deletable=self.settings.delete_storage,
            outage_seconds=volumes.outage_seconds(self.settings.watch),
        )
        return self.target.Volume(f"{self.stack}-volume", args)

    def server(self, number: int, volume: Volume | None) -> Server:
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
            volume=volume,
            hooks=self.guard.before_creation(name),
        )
        return self.target.Server(name, args)

    def address(self, server: Server, rollout: RolloutArgs, volume: Volume | None) -> Entrypoint:
        args = AddressArgs(
            network=self.network, server=server, rollout=rollout, volume=volume, domain=self.settings.domain
        )
        return self.target.Address(f"{self.stack}-address", args)

    def rollout_args(self, release: Release, balancer: Balancer | None, volume: Volume | None) -> RolloutArgs:
        settings, program = self.settings, self.program.copy
        config = configuration(settings, program, restricted=True)
        document: pulumi.Input[str] = config.document(program_files())
        if balancer:
            # Only a site with a domain refuses other names, and the URL with the domain waits for DNS records.
            named = settings.domain and not settings.target_settings.has_zone
            url = balancer.url if named else pulumi.Output.from_input("")

            def balanced(values: Sequence[Any]) -> str:
                senders, host = values[0], str(urlsplit(str(values[1])).hostname or "")
                balanced_config = configuration(settings, program, senders, balancer_host=host, restricted=True)
                return balanced_config.document(program_files())

            document = pulumi.Output.all(balancer.sender_ranges, url).apply(balanced)
        release_input = self.variables.apply(
            lambda variables: commands.release_input(
                variables, release=release.name, stack=self.stack, revision=release.revision
            )
        )
        return RolloutArgs(
            logins=self.logins,
            host_program=self.program,
            configuration=document,
            release=release,
            release_command=commands.release(release.name, config, settings),
            prepare_command=commands.prepare(release.name, config, settings),
            release_input=pulumi.Output.secret(release_input),
            canary=settings.canary,
            batch=settings.batch,
            server_seconds=server_seconds(settings),
            mount_command=volume.path.apply(lambda path: commands.mount_volume(path, settings)) if volume else None,
            volume_id=volume.volume_id if volume else None,
        )


def server_seconds(settings: Settings) -> int:
    """The longest time from the start of a web process to the end of a release on one server."""
    checks = 2 * settings.health_timeout + settings.watch
    # A deployment that is still being drained starts when it has ended. Rollouts have room for the default.
    ending = times.ending_seconds(settings.request_timeout, settings.drain_timeout)
    longer = max(0, ending - times.ending_seconds(times.REQUEST_SECONDS, times.DRAIN_SECONDS))
    return settings.start_timeout + longer + checks + settings.stop_timeout


def _roll_out(
    stack: str,
    servers: Mapping[str, Server],
    *,
    entrypoint: Entrypoint,
    args: RolloutArgs,
    volume: Volume | None,
    certificate: ServerCertificate | None,
    health: dict[str, Any],
    deploy_key: pulumi.Output[str],
    admin_key: pulumi.Output[str],
) -> Fleet:
    new_servers = [
        NewServer(name=name, instance_id=server.instance_id, connection=entrypoint.connection_to(server))
        for name, server in servers.items()
    ]
    # A server with a volume is the only one.
    attach = partial(volume.attach, servers[f"{stack}-0"]) if volume else None
    rollout = Rollout("rollout", new_servers, args, attach=attach)
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
    url = entrypoint.url
    if certificate:
        # Visitors, and the authority, reach the server when the address has moved to it, and the URL has DNS records.
        attached = [entrypoint] if isinstance(entrypoint, pulumi.Resource) else []
        address = pulumi.Output.all(entrypoint.address, url).apply(lambda values: str(values[0]))
        request = certificate.request(address)
        url = certificate.url(url, rollout.run(f"{stack}-0", request, attached).stdout if request else None)
    reached = [
        described.machine(
            server.name,
            address=server.connection.host,
            instance_id=server.instance_id,
            host_key=rollout.host_keys[server.name],
        )
        for server in released
    ]
    balancer = None
    if machine:
        balancer = described.machine(
            f"{stack}-balancer",
            address=entrypoint.address,
            instance_id=machine.instance_id,
            host_key=machine.host_key,
        ) | {"user": machine.admin}
    return Fleet(
        url=url,
        release=rollout.release,
        servers=[output | {"user": rollout.admins[output["name"]]} for output in reached],
        new_servers=described.new_servers(servers),
        reached_servers=reached,
        balancer=balancer,
        deploy_key=deploy_key,
        admin_key=admin_key,
        health=health,
    )
