"""Runs a unit that ends by itself: prints its output as it comes, and says why it failed."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from host import explain, health_advice, systemd
from host.console import say
from host.errors import ReleaseError

# Pulumi hangs on very long lines.
LINE_LENGTH = 1000


def say_line(line: str) -> None:
    """Print a line of a command's output, below the phase that runs it."""
    say(f"  {line}")


def succeeds(unit: str, write: Callable[[str], None] = say_line) -> bool:
    """Start the unit and pass each line of its output to ``write`` until it has ended; returns whether it succeeded."""
    with tempfile.TemporaryDirectory() as folder:
        # journalctl keeps its position in this file. It begins at the end of the journal.
        new_lines = ["journalctl", "--no-pager", "--quiet", f"--cursor-file={folder}/cursor"]
        subprocess.run([*new_lines, "--lines=0"], capture_output=True)
        new_lines += ["--output=cat", f"_SYSTEMD_UNIT={unit}"]
        with subprocess.Popen(["systemctl", "start", unit], stderr=subprocess.DEVNULL) as start:
            while start.poll() is None:
                time.sleep(0.2)
                _write_lines(new_lines, write)
        subprocess.run(["journalctl", "--sync"], capture_output=True)
        _write_lines(new_lines, write)
        return start.returncode == 0


def failure(unit: str, phase: str, *, command: str, app: Path) -> ReleaseError:
    """The error for a unit that failed: ``phase``, such as "the build", the reason, the command and its last lines.

    ``app`` is the folder in which it ran.
    """
    properties = systemd.show(unit, "Result", "ExecMainStatus", "TimeoutStartUSec")
    last_lines = systemd.journal(unit)
    systemd.systemctl("reset-failed", unit)
    error = explain.failure(f"{phase} {_reason(properties)}: {command}", last_lines, app)
    if properties.get("Result") == "timeout":
        slow = health_advice.slow_command(systemd.seconds(properties.get("TimeoutStartUSec", "")))
        error.advice = "\n".join(filter(None, (error.advice, slow)))
    return error


def _write_lines(journal_command: list[str], write: Callable[[str], None]) -> None:
    stdout = subprocess.run(journal_command, capture_output=True, text=True, errors="replace").stdout
    for line in stdout.splitlines():
        write(line[:LINE_LENGTH])


def _reason(properties: dict[str, str]) -> str:
    if properties.get("Result") == "timeout":
        return "took longer than the setting releaseTimeout allows"
    if properties.get("Result") == "oom-kill":
        return "needed more memory than the setting memoryLimit or the server allows"
    return f"failed with exit status {properties.get('ExecMainStatus')}"
