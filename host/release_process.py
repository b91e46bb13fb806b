"""The Procfile's release process: migrations and the like, before a release gets any traffic."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from host import files, procfile, systemd, web
from host.console import phase, say
from host.errors import ReleaseError
from host.paths import Paths

# Pulumi hangs on very long lines.
LINE_LENGTH = 1000


def run(paths: Paths, instance: web.Instance, venv: Path) -> None:
    """Run it to its end, its output line by line; raises ReleaseError when it fails or takes too long."""
    command = procfile.of(paths.releases / instance.release).get("release")
    if command is None:
        return
    with phase("release"):
        web.prepare(paths, instance, venv)
        files.write(paths.instances / instance.name / "release", procfile.script(command), 0o755)
        unit = f"gantry-release@{instance.name}.service"
        _wait_for_others(unit)
        if not _follow(unit):
            result = systemd.show(unit, "Result", "ExecMainStatus")
            said = systemd.journal(unit)
            systemd.systemctl("reset-failed", unit)
            raise ReleaseError(f"the release process {_why(result)}: {command}\n{said}")


def _wait_for_others(unit: str) -> None:
    """Of a run that was killed, the release process goes on; two migrations at once could spoil each other."""
    while others := systemd.running("gantry-release@*.service") - {unit}:
        say(f"  waiting for {', '.join(sorted(others))}, which an interrupted run has started")
        time.sleep(2)


def _follow(unit: str) -> bool:
    """Start the unit and print what it writes until it has ended; whether it ended well."""
    with tempfile.TemporaryDirectory() as folder:
        # journalctl keeps its place in this file: the end of the journal, to begin with.
        read = ["journalctl", "--no-pager", "--quiet", f"--cursor-file={folder}/cursor"]
        subprocess.run([*read, "--lines=0"], capture_output=True)
        read += ["--output=cat", f"_SYSTEMD_UNIT={unit}"]
        with subprocess.Popen(["systemctl", "start", unit], stderr=subprocess.DEVNULL) as start:
            while start.poll() is None:
                time.sleep(0.2)
                _print_new(read)
        subprocess.run(["journalctl", "--sync"], capture_output=True)
        _print_new(read)
        return start.returncode == 0


def _print_new(read: list[str]) -> None:
    for line in subprocess.run(read, capture_output=True, text=True, errors="replace").stdout.splitlines():
        say(f"  {line[:LINE_LENGTH]}")


def _why(result: dict[str, str]) -> str:
    if result.get("Result") == "timeout":
        return "took longer than the setting releaseTimeout allows"
    return f"failed with exit status {result.get('ExecMainStatus')}"
