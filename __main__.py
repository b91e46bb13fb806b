"""A Gantry stack: read the settings, pack the release, build the fleet, export what a user needs."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components import ending, fleet
from components.app.source import Source
from components.settings import reader

ROOT = Path(__file__).resolve().parent
GENERATED = ROOT / ".gantry/artifacts"


@ending.errors_as_text()
def main() -> None:
    stack = pulumi.get_stack()
    draft = reader.read(ROOT, pulumi.Config())
    source = Source(draft.settings.app, draft.settings.release)
    # For a revision, the Procfile comes from git.
    settings = draft.check(source.procfile() if draft.names_processes else None)
    release = source.pack(GENERATED)
    stack_fleet = fleet.build(stack, settings, release, generated=GENERATED)
    first = stack_fleet.servers[0]["name"]

    pulumi.export("url", stack_fleet.url)
    pulumi.export("release", stack_fleet.release)
    pulumi.export("servers", stack_fleet.servers)
    if stack_fleet.balancer:
        pulumi.export("balancer", stack_fleet.balancer)
    pulumi.export("ssh", f"bin/ssh --stack {stack} {first}")
    pulumi.export("logs", f"bin/ssh --stack {stack} {first} sudo journalctl --follow --unit 'gantry-*@*'")
    pulumi.export("ssh_key", stack_fleet.key.private_key)


ending.end_at_the_engines_signal()
main()
