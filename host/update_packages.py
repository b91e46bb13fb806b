"""Installs security updates of Debian packages with unattended-upgrades."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from host import commands
from host.errors import ReleaseError
from host.packages import system_packages
from host.paths import Paths

# The programs of an update, and their packages.
_PROGRAMS = {"unattended-upgrade": "unattended-upgrades", "needrestart": "needrestart"}
# An archive that can't be reached is known after half a minute. The next slot tries again.
_REFRESH = ["apt-get", "-qq", "-oAPT::Update::Error-Mode=any", "-oAcquire::Retries=1", "update"]
# An archive that sends a byte now and then.
REFRESH_SECONDS = 180.0
_TIMEOUTS = [f"-oAcquire::{scheme}::Timeout=15" for scheme in ("http", "https")]


def install(paths: Paths, end: float) -> tuple[list[str], ReleaseError | None]:
    """Install the security updates that Debian has; returns the names of the packages that changed, and the failure.

    ``end`` is the time, in seconds since the epoch, at which no further package is begun. No package restarts a
    service. The failure is None if the archive could be reached and no update failed. Packages may have changed before
    it.
    """
    try:
        _refresh()
        for program, package in _PROGRAMS.items():
            system_packages.provide(paths, program, package)
    except ReleaseError as failure:
        return [], failure
    before = _versions()
    with system_packages.without_services(paths):
        failure = run_until(["unattended-upgrade"], end)
    changed = sorted({name for name, _ in _versions() ^ before})
    if failure:
        done = f"; these packages changed: {', '.join(changed)}" if changed else ""
        return changed, ReleaseError(f"unattended-upgrade {failure}{done}", _LOGS)
    return changed, None


def are_complete() -> bool:
    """Whether no package is half installed. With a half installed kernel, a server may not boot."""
    return not commands.run(["dpkg", "--audit"], accepted=(0, 1)).stdout.strip()


_LOGS = "See /var/log/unattended-upgrades, or run: sudo unattended-upgrade --dry-run --debug"


def _refresh() -> None:
    """Fetch the lists of the archive."""
    command = [*_REFRESH, *_TIMEOUTS]
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=system_packages.variables(),
            timeout=REFRESH_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ReleaseError(
            f"the package archive can't be used: its lists didn't come within {REFRESH_SECONDS:g} s"
        ) from None
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.startswith(("E:", "W:"))]
        raise ReleaseError("\n".join(["the package archive can't be used:", *lines[-3:]]))


def run_until(command: Sequence[str], end: float) -> str:
    """Run a command and return how it failed, or "". After ``end`` it gets SIGTERM, and the time to finish a step."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=system_packages.variables(),
    )
    try:
        output, _ = process.communicate(timeout=max(1.0, end - time.time()))
    except BaseException as error:
        # dpkg must not be killed: a package would be half installed.
        process.terminate()
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            return "was stopped at the end of this server's slot; the rest follows in the next one"
        raise
    return f"failed:\n{_last_lines(output)}" if process.returncode else ""


def _last_lines(output: str) -> str:
    return "\n".join([line for line in output.splitlines() if line.strip()][-6:])


def _versions() -> set[tuple[str, str]]:
    """The installed packages with their versions."""
    lines = commands.run(["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n"]).stdout.splitlines()
    return {(name, version) for name, _, version in (line.partition(" ") for line in lines)}
