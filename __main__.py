"""A Gantry stack: read the settings, pack the release, build the fleet, export what a user needs."""

from __future__ import annotations

import gc
from pathlib import Path

# This process lives for seconds, so it needs no garbage collector. The collector would take an eighth of the processor
# time of `up`, mostly while Pulumi's packages are imported.
gc.disable()

import pulumi

from components import ending, fleet, outputs
from components.app.source import Source
from components.settings import reader

ROOT = Path(__file__).resolve().parent
GENERATED = ROOT / ".gantry/artifacts"


@ending.errors_as_text()
def main() -> None:
    stack = pulumi.get_stack()
    draft = reader.read(ROOT, pulumi.Config())
    source = Source.of(draft.settings)
    # For a revision, the Procfile comes from git.
    settings = draft.check(source.procfile() if draft.names_processes else None)
    release = source.pack(GENERATED)
    outputs.export(stack, fleet.build(stack, settings, release, generated=GENERATED))


ending.end_at_the_engines_signal()
main()
