"""The release phase: the Procfile's `release` command, such as a migration, before a release gets traffic."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from host import explain, files, procfile, systemd
from host.console import phase, say
from host.deployment import Deployment, app_folder, write_files
from host.paths import Paths

# Pulumi hangs on very long lines.
LINE_LENGTH = 1000


def run(paths: Paths, deployment: Deployment, venv: Path) -> None:
    """Run the release phase, if there is one, and print its output line by line.

    Raises ReleaseError when it fails or takes too long.
    """
    command = procfile.read(paths.releases / deployment.release).get("release")
    if command is None:
        return
    with phase("release"):
        write_files(paths, deployment, venv)
        files.write(paths.deployments / deployment.name / "release", procfile.script(command), 0o755)
        unit = systemd.RELEASE_UNIT.format(deployment.name)
        _wait_for_others(unit)
        if not _succeeds(unit):
            properties = systemd.show(unit, "Result", "ExecMainStatus")
            last_lines = systemd.journal(unit)
            systemd.systemctl("reset-failed", unit)
            reason = f"the release phase {_reason(properties)}: {command}"
            raise explain.failure(reason, last_lines, app_folder(deployment.name))


def _wait_for_others(unit: str) -> None:
    """Wait for release phases that killed runs have started: two migrations at once could damage each other."""
    while others := systemd.running(systemd.RELEASE_UNIT.format("*")) - {unit}:
        say(f"  waiting for {', '.join(sorted(others))}, which an interrupted run has started")
        time.sleep(2)


def _succeeds(unit: str) -> bool:
    """Start the unit and print its output until it has ended; returns whether it succeeded."""
    with tempfile.TemporaryDirectory() as folder:
        # journalctl keeps its position in this file. It begins at the end of the journal.
        new_lines = ["journalctl", "--no-pager", "--quiet", f"--cursor-file={folder}/cursor"]
        subprocess.run([*new_lines, "--lines=0"], capture_output=True)
        new_lines += ["--output=cat", f"_SYSTEMD_UNIT={unit}"]
        with subprocess.Popen(["systemctl", "start", unit], stderr=subprocess.DEVNULL) as start:
            while start.poll() is None:
                time.sleep(0.2)
                _print(new_lines)
        subprocess.run(["journalctl", "--sync"], capture_output=True)
        _print(new_lines)
        return start.returncode == 0


def _print(journal_command: list[str]) -> None:
    for line in subprocess.run(journal_command, capture_output=True, text=True, errors="replace").stdout.splitlines():
        say(f"  {line[:LINE_LENGTH]}")


def _reason(properties: dict[str, str]) -> str:
    if properties.get("Result") == "timeout":
        return "took longer than the setting releaseTimeout allows"
    return f"failed with exit status {properties.get('ExecMainStatus')}"
