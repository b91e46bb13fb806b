"""Runs a program of the server, and reports its failure with what it printed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from host.errors import ReleaseError


def run(command: Sequence[str], accepted: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
    """Run ``command``. Raises ReleaseError for an exit status that isn't ``accepted``."""
    result = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if result.returncode not in accepted:
        raise ReleaseError(f"{' '.join(command)} failed:\n{(result.stderr or result.stdout).strip()}")
    return result
