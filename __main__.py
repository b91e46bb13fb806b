"""A Gantry stack: read the settings, build, export."""

from __future__ import annotations

import importlib
from pathlib import Path

import pulumi

from components import manifest, revision, settings
from components.keys import SshKeyPair
from components.rollout import Host, Rollout, RolloutArgs

ROOT = Path(__file__).resolve().parent
GENERATED = ROOT / ".gantry/artifacts"

stack = pulumi.get_stack()
wanted = settings.read(ROOT, pulumi.Config())
artifact = revision.wanted(wanted.app, wanted.release, GENERATED)
program = manifest.host_program()
program_file = program.write(GENERATED)
configuration = manifest.configuration(wanted, program.path)

target = importlib.import_module(f"components.{wanted.target}")
key = SshKeyPair(f"{stack}-deploy")
network = target.Network(stack, target.NetworkArgs(cidr=wanted.network))
name = f"{stack}-0"
host_key = SshKeyPair(f"{name}-first-host-key")
server = target.Server(
    name,
    target.ServerArgs(
        network=network,
        user_data=pulumi.Output.all(name, key.public_key, host_key.private_key, host_key.public_key).apply(
            lambda values: manifest.user_data(*values)
        ),
        user=manifest.USER,
        private_key=key.private_key,
        host_key=host_key.public_key,
    ),
)
rollout = Rollout(
    "rollout",
    [Host(name=name, instance_id=server.instance_id, first_contact=server.connection)],
    RolloutArgs(
        host_program=program_file,
        host_program_path=program.path,
        configuration=configuration.document(),
        tarball=artifact.tarball,
        release=artifact.release,
        release_command=manifest.release_command(artifact.release, configuration, wanted),
        release_input=pulumi.Output.secret(manifest.release_input(wanted.env, artifact.release, stack)),
    ),
)

pulumi.export("url", pulumi.Output.format("http://{}/", server.address))
pulumi.export("release", rollout.release)
pulumi.export(
    "servers",
    [
        {
            "name": name,
            "address": server.address,
            "instance_id": server.instance_id,
            "host_key": rollout.host_keys[name],
        }
    ],
)
pulumi.export("ssh", f"bin/ssh --stack {stack} {name}")
pulumi.export("logs", f"bin/ssh --stack {stack} {name} sudo journalctl --follow --unit 'gantry-*@*'")
pulumi.export("ssh_key", key.private_key)
