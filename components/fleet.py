"""A stack's machines and what connects them: the network, the servers, what is in front of them, the rollout to all."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components import manifest
from components.contact import Host
from components.keys import SshKeyPair
from components.revision import Wanted
from components.rollout import Rollout, RolloutArgs
from components.settings import Settings
from components.target import AddressArgs, BalancerArgs, Front, Member, NetworkArgs, Server, ServerArgs


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What an operator wants to know of it; the machines with name, address, id and host key."""

    url: pulumi.Output[str]
    release: pulumi.Output[str]
    servers: list[dict[str, Any]]
    balancer: dict[str, Any] | None
    key: SshKeyPair


def build(stack: str, wanted: Settings, artifact: Wanted, generated: Path) -> Fleet:
    """The machines that ``wanted`` asks for, all of them serving ``artifact``."""
    target = importlib.import_module(f"components.{wanted.target}")
    key = SshKeyPair(f"{stack}-deploy")
    network = target.Network(stack, _network_args(wanted, key))
    program = manifest.host_program()
    program_file = program.write(generated)
    balancer: Any = None
    if wanted.balancer:
        args = _balancer_args(wanted, network, key, program_file, program.path)
        balancer = target.Balancer(f"{stack}-balancer", args)
    names = [f"{stack}-{number}" for number in range(wanted.servers)]
    servers = {name: _server(target, name, number, wanted, network, key) for number, name in enumerate(names)}
    delivery = _delivery(stack, wanted, artifact, program_file, program.path, balancer and balancer.source)
    front: Front = balancer or target.Address(
        f"{stack}-address",
        AddressArgs(
            network=network,
            server=servers[names[0]],
            delivery=delivery,
            domain=wanted.domain,
            zone=wanted.zone,
            protect=wanted.protect,
        ),
    )
    return _rolled_out(stack, servers, front, delivery, key)


def _rolled_out(
    stack: str, servers: Mapping[str, Server], front: Front, delivery: RolloutArgs, key: SshKeyPair
) -> Fleet:
    hosts = [
        Host(name=name, instance_id=each.instance_id, first_contact=front.reach(each)) for name, each in servers.items()
    ]
    rollout = Rollout("rollout", hosts, delivery)
    members = [
        Member(
            name=name,
            instance_id=each.instance_id,
            private_address=each.private_address,
            connection=rollout.connections[name],
            configured=rollout.configured[name],
        )
        for name, each in servers.items()
    ]
    host_key = front.attach(members, rollout.finished)
    described = [
        _described(each.name, each.connection.host, each.instance_id, rollout.host_keys[each.name]) for each in members
    ]
    balancer = None
    if host_key is not None:
        machine: Any = front
        balancer = _described(f"{stack}-balancer", front.address, machine.instance_id, host_key)
    return Fleet(url=front.url, release=rollout.release, servers=described, balancer=balancer, key=key)


def _network_args(wanted: Settings, key: SshKeyPair) -> NetworkArgs:
    return NetworkArgs(
        cidr=wanted.network,
        region=wanted.region or "",
        vpc=wanted.vpc,
        public_key=key.public_key,
        ssh_from=wanted.ssh_from,
        ssh_key=wanted.ssh_key,
    )


def _balancer_args(
    wanted: Settings, network: Any, key: SshKeyPair, program_file: Path, program: str
) -> BalancerArgs[Any]:
    return BalancerArgs(
        network=network,
        health_path=wanted.health_path,
        health_status=wanted.health_status,
        drain_seconds=manifest.GRACEFUL_SECONDS,
        domain=wanted.domain,
        zone=wanted.zone,
        access_logs=wanted.access_logs,
        protect=wanted.protect,
        key=key,
        host_program=program_file,
        host_program_path=program,
    )


def _server(target: Any, name: str, number: int, wanted: Settings, network: Any, key: SshKeyPair) -> Server:
    host_key = SshKeyPair(f"{name}-first-host-key")
    user_data = pulumi.Output.all(name, key.public_key, host_key.private_key, host_key.public_key).apply(
        lambda values: manifest.user_data(*values)
    )
    args = ServerArgs(
        network=network,
        user_data=user_data,
        user=manifest.USER,
        private_key=key.private_key,
        host_key=host_key.public_key,
        number=number,
        size=wanted.size,
        backups=wanted.backups,
        balanced=wanted.balancer,
    )
    return target.Server(name, args)


def _delivery(
    stack: str,
    wanted: Settings,
    artifact: Wanted,
    program_file: Path,
    program: str,
    source: pulumi.Output[list[str]] | None,
) -> RolloutArgs:
    """``source`` is where a balancer's requests come from."""
    configuration = manifest.configuration(wanted, program)
    document: pulumi.Input[str] = (
        configuration.document()
        if source is None
        else source.apply(lambda known: manifest.configuration(wanted, program, known).document())
    )
    return RolloutArgs(
        host_program=program_file,
        host_program_path=program,
        configuration=document,
        tarball=artifact.tarball,
        release=artifact.release,
        release_command=manifest.release_command(artifact.release, configuration, wanted),
        first_prepare_command=manifest.first_prepare_command(artifact.release, configuration, wanted),
        release_input=pulumi.Output.secret(
            manifest.release_input(wanted.env, artifact.release, stack, artifact.revision)
        ),
        canary=wanted.canary,
        batch=wanted.batch,
        switch_seconds=wanted.watch + 2 * wanted.health_timeout + wanted.stop_timeout,
    )


def _described(
    name: str, address: pulumi.Input[str], instance_id: pulumi.Input[str], host_key: pulumi.Output[str]
) -> dict[str, Any]:
    return {"name": name, "address": address, "instance_id": instance_id, "host_key": host_key}
