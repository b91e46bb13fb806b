"""Stops everything that runs the app's code."""

from __future__ import annotations

import subprocess
from contextlib import suppress

from host import systemd

_UNITS = (
    systemd.CRON_TIMER,
    systemd.CRON_SERVICE,
    systemd.WEB_UNIT,
    systemd.PROCESS_UNIT,
    systemd.RELEASE_UNIT,
)
PATTERNS = tuple(unit.format("*") for unit in _UNITS)


def stop_all(seconds: float) -> list[str]:
    """Let all web processes, workers, cron jobs and release phases end within ``seconds``, then kill the others.

    Returns the units that ran.
    """
    units = sorted(systemd.running(*PATTERNS))
    if units:
        with suppress(subprocess.TimeoutExpired):
            systemd.systemctl("stop", *units, timeout=seconds)
    if left := sorted(systemd.running(*PATTERNS)):
        systemd.systemctl("kill", "--signal=SIGKILL", *left)
        systemd.systemctl("stop", *left)
    return units
