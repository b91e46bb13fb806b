"""The unit in which `gantry update --now` runs, so that it goes on without the terminal that it was typed in."""

from __future__ import annotations

import subprocess

from host.paths import Paths

NAME = "gantry-updates-now"
# Those of the unit that the timer starts: cloud-init/updates.service.j2 says why.
PROPERTIES = ("Nice=10", "KillMode=process", f"ExecStopPost=/bin/rm -f {Paths().last_responses}")
# The unit of the timer is of the type oneshot, which has TimeoutStartSec instead.
_LIMIT = "RuntimeMaxSec=30min"


def run(settle: float) -> int:
    """Run an update at once; returns its exit status. ``settle`` is for ``reboot.drain``."""
    command = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--unit={NAME}"]
    command += [f"--property={text}" for text in (*PROPERTIES, _LIMIT)]
    command += ["--", str(Paths().gantry_command), "update", "--now", "--in-unit", f"--settle={settle:g}"]
    return subprocess.run(command).returncode
