"""The computer that `up` runs on, where local machines boot: its tools, commands, rights and disk space."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Each tool with the Debian package that contains it.
TOOLS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nft": "nftables",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "mount": "mount",
}
# Debian keeps root's tools in these folders. A user's PATH may lack them.
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


class LocalError(Exception):
    """A problem of this computer that a user can fix, with the rule and the remedy."""

    def __init__(self, problem: str, rule: str, remedy: str) -> None:
        super().__init__(f"{problem}. {rule}. {remedy}")


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a short command to its end. With ``check`` a failure raises LocalError with the command's output."""
    words = [str(word) for word in command]
    result = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, env=command_env(env))
    if check and result.returncode:
        output = (result.stderr or result.stdout).strip()[-2000:] or f"exit status {result.returncode}"
        raise LocalError(
            f"`{' '.join(words)}` failed: {output}",
            "Local machines need this command to work",
            "Fix the cause that the output names, and try again",
        )
    return result


def command_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for a command: those of this process with English output, root's tools and ``extra``."""
    path = f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SYSTEM_PATH}"
    return {**os.environ, "LC_ALL": "C.UTF-8", "PATH": path, **(extra or {})}


def missing_packages(tools: Mapping[str, str] = TOOLS) -> list[str]:
    """The Debian packages of the tools that this computer lacks, sorted."""
    path = command_env()["PATH"]
    return sorted({package for tool, package in tools.items() if not shutil.which(tool, path=path)})


def require_root_and_tools(tools: Mapping[str, str] = TOOLS) -> None:
    """Raises LocalError unless this process is root's and the computer has all tools."""
    if os.geteuid() != 0:
        raise LocalError(
            f"The local target runs as user {os.geteuid()}, not as root",
            "Machines, bridges and firewall rules need root",
            "Run the same command with sudo",
        )
    if packages := missing_packages(tools):
        raise LocalError(
            f"This computer lacks {', '.join(packages)}",
            "The local target uses debootstrap, systemd-nspawn, ip and nft",
            f"Install the missing packages: sudo apt-get install {' '.join(packages)}",
        )


def require_disk_space(folder: Path, mebibytes: int, purpose: str) -> None:
    """Raises LocalError unless the file system of ``folder`` has this much free space."""
    free = shutil.disk_usage(folder).free // 2**20
    if free < mebibytes:
        raise LocalError(
            f"{folder} has {free} MiB free",
            f"{purpose} needs {mebibytes} MiB",
            "Free some space; `python -m components.local prune-images` removes unused base images",
        )


def boot_id() -> str:
    """The id of this computer's present boot. Records of earlier boots have another id."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def has_systemd() -> bool:
    """Whether systemd is this computer's init: the test of sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()


def hardware_address(address: str) -> str:
    """The hardware address for an IPv4 address.

    A new machine with the address of an older one has its hardware address, too, so its neighbours reach it at once.
    """
    # 02 marks an address that no vendor has registered: https://www.rfc-editor.org/rfc/rfc9542#section-2.1
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x00, *ipaddress.IPv4Address(address).packed))
