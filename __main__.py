"""A Gantry stack: read the settings, build, export."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components import fleet, settings
from components.artifact import pack

ROOT = Path(__file__).resolve().parent
GENERATED = ROOT / ".gantry/artifacts"

stack = pulumi.get_stack()
wanted = settings.read(ROOT, pulumi.Config())
built = fleet.build(stack, wanted, pack(wanted.app, GENERATED), GENERATED)

name = built.servers[0]["name"]
pulumi.export("url", pulumi.Output.format("http://{}/", built.address))
pulumi.export("release", built.release)
pulumi.export("servers", built.servers)
if built.balancer:
    pulumi.export("balancer", built.balancer)
pulumi.export("ssh", f"bin/ssh --stack {stack} {name}")
pulumi.export("logs", f"bin/ssh --stack {stack} {name} sudo journalctl --follow --unit 'gantry-web@*'")
pulumi.export("ssh_key", built.key.private_key)
