"""A Gantry stack: read the settings, build, export."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components import fleet, revision, settings

ROOT = Path(__file__).resolve().parent
GENERATED = ROOT / ".gantry/artifacts"

stack = pulumi.get_stack()
wanted = settings.read(ROOT, pulumi.Config())
artifact = revision.wanted(wanted.app, wanted.release, GENERATED)
built = fleet.build(stack, wanted, artifact, GENERATED)

name = built.servers[0]["name"]
pulumi.export("url", built.url)
pulumi.export("release", built.release)
pulumi.export("servers", built.servers)
if built.balancer:
    pulumi.export("balancer", built.balancer)
pulumi.export("ssh", f"bin/ssh --stack {stack} {name}")
pulumi.export("logs", f"bin/ssh --stack {stack} {name} sudo journalctl --follow --unit 'gantry-*@*'")
pulumi.export("ssh_key", built.key.private_key)
