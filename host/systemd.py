"""The names of Gantry's units, and calls of systemctl, journalctl and systemd-analyze."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import suppress

from host.errors import ReleaseError

# ``format`` with a deployment's name, a process's name, "%i", "*" for all, or "" for the template's file name.
WEB_UNIT = "gantry-web@{}.service"
# Forward the connections of a web process that listens on a port.
PORT_SOCKET = "gantry-port@{}.socket"
PORT_SERVICE = "gantry-port@{}.service"
RELEASE_UNIT = "gantry-release@{}.service"
BUILD_UNIT = "gantry-build@{}.service"
PROCESS_UNIT = "gantry-process@{}.service"
CRON_SERVICE = "gantry-cron@{}.service"
CRON_TIMER = "gantry-cron@{}.timer"
NGINX = "nginx.service"
# The control group of everything that runs the app's code.
APP_SLICE = "gantry.slice"
SWAP_UNIT = "gantry-swap.service"
# Serves a release again after a boot.
RESUME_UNIT = "gantry.service"
# Restores the firewall's rules.
FIREWALL_UNIT = "gantry-firewall.service"
# What the site, its log and the way in need. systemd restarts them without an end.
DAEMONS = (NGINX, "ssh.service", "systemd-journald.service", "systemd-networkd.service", "systemd-resolved.service")
# Rotate the logs.
LOGS_SERVICE = "gantry-logs.service"
LOGS_TIMER = "gantry-logs.timer"
# Install security updates.
UPDATES_SERVICE = "gantry-updates.service"
UPDATES_TIMER = "gantry-updates.timer"
# Renew the certificate.
CERTIFICATE_SERVICE = "gantry-certificate.service"
CERTIFICATE_TIMER = "gantry-certificate.timer"
# A pattern of the units that needrestart leaves to this program (cloud-init/needrestart.conf.j2, ``host.outdated``).
OWN_UNITS = r"^(nginx|gantry-(web|port|process|cron|build|release|updates|certificate)@?.*)\.service$"
# The mounts of the volume at Paths.volume, and of its folder at Paths.app_home, whose paths are these names.
VOLUME_MOUNT = "var-lib-gantry-volume.mount"
DATA_MOUNT = "var-lib-app.mount"
# The units of the rollback timer. Servers may still have them from an earlier version, so the name stays.
ROLLBACK_SERVICE = "gantry-revert.service"
ROLLBACK_TIMER = "gantry-revert.timer"

JOURNAL_LINES = 25
# Why a main process has ended, in ExecMainCode: CLD_EXITED, and CLD_KILLED or CLD_DUMPED of asm-generic/siginfo.h.
EXITED, KILLED = "1", ("2", "3")
STOPPED = ("inactive", "failed")


def systemctl(*words: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=timeout)


def require(*words: str) -> None:
    """Run systemctl. Raises ReleaseError with its message if it fails."""
    if (result := systemctl(*words)).returncode != 0:
        raise ReleaseError(f"systemctl {' '.join(words)} failed: {result.stderr.strip()}")


def show(unit: str, *names: str) -> dict[str, str]:
    """The properties ``names`` of a unit."""
    stdout = systemctl("show", unit, *(f"--property={name}" for name in names)).stdout
    return {name: value for name, _, value in (line.partition("=") for line in stdout.splitlines())}


def signal_name(number: int) -> str:
    """The name of a signal; most of the real-time signals have none."""
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def end_of(code: str | None, status: str) -> str:
    """How a main process has ended, by ExecMainCode and ExecMainStatus; empty if it runs again, or isn't known."""
    if code == EXITED:
        return f" (exit status {status})"
    if code in KILLED and status.isdecimal():
        return f" (killed by {signal_name(int(status))})"
    return ""


def seconds(span: str) -> float:
    """A span of time as systemd shows it, such as ``1min 30s``, in seconds."""
    units = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(h|min|ms|s)\b", span))


def listed(*patterns: str) -> dict[str, str]:
    """The loaded units that match one of the patterns, with their active states."""
    stdout = systemctl("list-units", "--plain", "--no-legend", "--all", *patterns).stdout
    return {words[0]: words[2] for words in map(str.split, stdout.splitlines())}


def running(*patterns: str) -> set[str]:
    """The matching units that run, are starting or are stopping."""
    return {unit for unit, state in listed(*patterns).items() if state not in STOPPED}


def journal(unit: str) -> str:
    """The last lines that a unit wrote since its last start; older lines, or systemd's, if it wrote nothing."""
    start = show(unit, "InvocationID").get("InvocationID")
    since_start = journal_lines(f"_SYSTEMD_INVOCATION_ID={start}") if start else ""
    return since_start or journal_of_all_starts(unit)


def journal_of_all_starts(unit: str) -> str:
    """The last lines that a unit ever wrote, or systemd's lines about it if it wrote nothing."""
    # The match on _SYSTEMD_UNIT excludes systemd's own lines: the app's lines matter more.
    return journal_lines(f"_SYSTEMD_UNIT={unit}") or journal_lines(f"--unit={unit}")


def journal_lines(*selection: str, lines: int = JOURNAL_LINES) -> str:
    """The last lines of the journal that match ``selection``."""
    command = ["journalctl", *selection, "--output=cat", "--no-pager", "--quiet", f"--lines={lines}"]
    return subprocess.run(command, capture_output=True, text=True, errors="replace").stdout.strip()


def accepts(calendar: str) -> bool:
    """Whether systemd accepts the value as OnCalendar of a timer."""
    return subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True).returncode == 0
