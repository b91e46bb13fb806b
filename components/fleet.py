"""A stack's machines and what connects them: the network, the servers, the balancer in front, the rollout to all."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components import manifest
from components.artifact import Artifact
from components.contact import Host
from components.keys import SshKeyPair
from components.rollout import Rollout, RolloutArgs
from components.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What an operator wants to know of it; the machines with name, address, id and host key."""

    address: pulumi.Output[str]
    release: pulumi.Output[str]
    servers: list[dict[str, Any]]
    balancer: dict[str, Any] | None
    key: SshKeyPair


def build(stack: str, wanted: Settings, artifact: Artifact, generated: Path) -> Fleet:
    """The machines that ``wanted`` asks for, all of them serving ``artifact``."""
    target = importlib.import_module(f"components.{wanted.target}")
    key = SshKeyPair(f"{stack}-deploy")
    network = target.Network(stack, target.NetworkArgs(cidr=wanted.network))
    names = [f"{stack}-{number}" for number in range(wanted.servers)]
    servers = {name: _server(target, name, network, key) for name in names}
    program = manifest.host_program()
    program_file = program.write(generated)
    balancer = None
    if wanted.balancer:
        args = target.BalancerArgs(
            network=network,
            health_path=wanted.health_path,
            domain=wanted.domain,
            key=key,
            host_program=program_file,
            host_program_path=program.path,
        )
        balancer = target.Balancer(f"{stack}-balancer", args)
    configuration = manifest.configuration(wanted, program.path)
    rollout = Rollout(
        "rollout",
        [
            Host(name=name, instance_id=each.instance_id, first_contact=each.connection)
            for name, each in servers.items()
        ],
        RolloutArgs(
            host_program=program_file,
            host_program_path=program.path,
            configuration=_document(wanted, program.path, balancer),
            tarball=artifact.path,
            release=artifact.release,
            release_command=manifest.release_command(artifact.release, configuration, wanted),
            release_input=pulumi.Output.secret(manifest.release_input(wanted.env, artifact.release, stack)),
            batch=wanted.batch,
        ),
    )
    described = [_described(name, each, rollout.host_keys[name]) for name, each in servers.items()]
    front = None
    if balancer:
        host_key = balancer.attach([each.private_address for each in servers.values()], rollout.finished)
        front = _described(f"{stack}-balancer", balancer, host_key)
    address = (front or described[0])["address"]
    return Fleet(address=address, release=rollout.release, servers=described, balancer=front, key=key)


def _server(target: Any, name: str, network: Any, key: SshKeyPair) -> Any:
    host_key = SshKeyPair(f"{name}-first-host-key")
    user_data = pulumi.Output.all(name, key.public_key, host_key.private_key, host_key.public_key).apply(
        lambda values: manifest.user_data(*values)
    )
    args = target.ServerArgs(
        network=network,
        user_data=user_data,
        user=manifest.USER,
        private_key=key.private_key,
        host_key=host_key.public_key,
    )
    return target.Server(name, args)


def _document(wanted: Settings, program: str, balancer: Any) -> pulumi.Input[str]:
    if balancer is None:
        return manifest.configuration(wanted, program).document()
    address: pulumi.Output[str] = balancer.private_address
    return address.apply(lambda known: manifest.configuration(wanted, program, known).document())


def _described(name: str, machine: Any, host_key: pulumi.Output[str]) -> dict[str, Any]:
    return {"name": name, "address": machine.address, "instance_id": machine.instance_id, "host_key": host_key}
