"""Asking systemd and its journal."""

from __future__ import annotations

import subprocess

JOURNAL_LINES = 25
STOPPED = ("inactive", "failed")


def systemctl(*words: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=timeout)


def show(unit: str, *names: str) -> dict[str, str]:
    """The properties ``names`` of a unit."""
    said = systemctl("show", unit, *(f"--property={name}" for name in names)).stdout
    return {name: value for name, _, value in (line.partition("=") for line in said.splitlines())}


def listed(*patterns: str) -> dict[str, str]:
    """The loaded units that match a pattern, with their active states."""
    said = systemctl("list-units", "--plain", "--no-legend", "--all", *patterns).stdout
    return {words[0]: words[2] for words in map(str.split, said.splitlines())}


def running(*patterns: str) -> set[str]:
    """Those that run, are starting or are stopping."""
    return {unit for unit, state in listed(*patterns).items() if state not in STOPPED}


def journal(unit: str) -> str:
    """The last lines of a unit's last start; of earlier ones, or of systemd itself, where that wrote none."""
    start = show(unit, "InvocationID").get("InvocationID")
    of_start = written(f"_SYSTEMD_INVOCATION_ID={start}") if start else ""
    return of_start or journal_of_all_starts(unit)


def journal_of_all_starts(unit: str) -> str:
    """The last lines of a unit, or what systemd says of it where it wrote none."""
    # The match on _SYSTEMD_UNIT leaves systemd's own lines out: the app's words matter.
    return written(f"_SYSTEMD_UNIT={unit}") or written(f"--unit={unit}")


def written(*selection: str, lines: int = JOURNAL_LINES) -> str:
    """The end of what is selected of the journal."""
    command = ["journalctl", *selection, "--output=cat", "--no-pager", "--quiet", f"--lines={lines}"]
    return subprocess.run(command, capture_output=True, text=True, errors="replace").stdout.strip()


def accepts(calendar: str) -> bool:
    """Whether a timer can have it as OnCalendar."""
    return subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True).returncode == 0
