"""A Pulumi program of your own: an app on Gantry's servers, with a bucket for its files."""

from __future__ import annotations

from pathlib import Path

import pulumi
from bucket import bucket_for

from components import ending, fleet, outputs
from components.app.source import Source
from components.settings import reader

HERE = Path(__file__).resolve().parent
GENERATED = HERE / ".gantry/artifacts"


@ending.errors_as_text()
def main() -> None:
    stack = pulumi.get_stack()
    draft = reader.read(HERE, pulumi.Config())
    source = Source.of(draft.settings)
    settings = draft.check(source.procfile() if draft.names_processes else None)
    bucket = bucket_for(stack, settings)
    release = source.pack(GENERATED)
    outputs.export(stack, fleet.build(stack, settings, release, generated=GENERATED, env=bucket.variables))
    pulumi.export("bucket", bucket.bucket)


ending.end_at_the_engines_signal()
main()
