"""Lists the stacks that the workflows preview and deploy: those in a cloud with their settings in the repository.

`python3 -m tools.github.stacks` prints their names as JSON, for a workflow's matrix.
"""

from __future__ import annotations

import json
from pathlib import Path

from tools.setup.paths import ROOT
from tools.setup.targets import is_local


def in_clouds(folder: Path) -> list[str]:
    """The names, sorted. A local stack isn't among them: its machines and its state are on somebody's own computer."""
    names = (file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in folder.glob("Pulumi.?*.yaml"))
    return sorted(name for name in names if not is_local(name, folder))


if __name__ == "__main__":
    print(json.dumps(in_clouds(ROOT)))
