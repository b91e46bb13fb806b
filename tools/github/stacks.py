"""Which stacks the workflows are about: those in a cloud, each with its settings in the repository.

`python3 -m tools.github.stacks` writes them as JSON, for a workflow's matrix.
"""

from __future__ import annotations

import json
from pathlib import Path

from tools.setup.paths import ROOT
from tools.setup.targets import is_local


def in_clouds(folder: Path) -> list[str]:
    """By name; the machines of a local stack are on somebody's own computer, and so is its state."""
    names = (file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in folder.glob("Pulumi.?*.yaml"))
    return sorted(name for name in names if not is_local(name, folder))


if __name__ == "__main__":
    print(json.dumps(in_clouds(ROOT)))
