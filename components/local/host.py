"""What the local target asks of the computer it runs on: commands, tools, rights, room."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Each tool with the Debian package that has it.
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
# Where Debian keeps tools that are root's alone; a user's PATH may lack them.
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


class LocalError(Exception):
    """What is wrong on this computer, the rule, and the remedy, for a person to read."""

    def __init__(self, what: str, rule: str, remedy: str) -> None:
        super().__init__(f"{what}. {rule}. {remedy}")
        self.what, self.rule, self.remedy = what, rule, remedy


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a short command to its end; a failure tells the command and what it said."""
    words = [str(word) for word in command]
    result = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, env=environment(env))
    if check and result.returncode:
        said = (result.stderr or result.stdout).strip()[-2000:] or f"exit status {result.returncode}"
        raise LocalError(
            f"`{' '.join(words)}` failed: {said}",
            "Local machines need this command to work",
            "Mend what it complains about and try again",
        )
    return result


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    path = f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SYSTEM_PATH}"
    return {**os.environ, "LC_ALL": "C.UTF-8", "PATH": path, **(extra or {})}


def missing_packages(tools: Mapping[str, str] = TOOLS) -> list[str]:
    path = environment()["PATH"]
    return sorted({package for tool, package in tools.items() if not shutil.which(tool, path=path)})


def require_root_and_tools(tools: Mapping[str, str] = TOOLS) -> None:
    if os.geteuid() != 0:
        raise LocalError(
            f"The local target runs as user {os.geteuid()}, not as root",
            "Booting machines, bridges and firewall rules need root",
            "Run the same command with sudo",
        )
    if packages := missing_packages(tools):
        raise LocalError(
            f"This computer lacks {', '.join(packages)}",
            "Local machines are built with debootstrap, booted by systemd-nspawn and connected by ip and nft",
            f"Install what is missing: sudo apt-get install {' '.join(packages)}",
        )


def require_room(folder: Path, mebibytes: int, purpose: str) -> None:
    free = shutil.disk_usage(folder).free // 2**20
    if free < mebibytes:
        raise LocalError(
            f"{folder} has {free} MiB free",
            f"{purpose} needs {mebibytes} MiB",
            "Free some room there; `python -m components.local prune-images` removes unused base images",
        )


def boot_id() -> str:
    """Differs after each start of the computer: old records can't be mistaken for what runs now."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def has_systemd() -> bool:
    # The test of sd_booted(3).
    return Path("/run/systemd/system").is_dir()


def hardware_address(address: str) -> str:
    """The hardware address for an IPv4 address: a machine that takes another's place is found by all who knew that."""
    # 02 says that nobody has registered it: https://www.rfc-editor.org/rfc/rfc9542#section-2.1
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x00, *ipaddress.IPv4Address(address).packed))
