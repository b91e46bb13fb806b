"""Debian packages that the set-up, the local target and the tests need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from components.local.computer import TOOLS
from tools.setup.programs import run_logged
from tools.setup.report import SetupError, say

# Each need is a program, or the absolute path of a file, followed by the Debian package that contains it.
LOCAL_TARGET = (
    *TOOLS.items(),
    ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
    ("ssh", "openssh-client"),
)
# Installed only in CI: these packages start servers on the computer.
TESTS = (*LOCAL_TARGET, ("sshd", "openssh-server"), ("wrk", "wrk"), ("haproxy", "haproxy"), ("rsync", "rsync"))
# Programs for administrators are in these folders, which a user's PATH may lack.
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


def is_installed(need: str) -> bool:
    """Whether the program or the file is on this computer."""
    if need.startswith("/"):
        return Path(need).exists()
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), SYSTEM_FOLDERS])
    return shutil.which(need, path=path) is not None


def missing_packages(needs: Sequence[tuple[str, str]], is_installed: Callable[[str], bool]) -> list[str]:
    """The packages of the needs that aren't installed, each once."""
    return list(dict.fromkeys(package for need, package in needs if not is_installed(need)))


def install_packages(
    needs: Sequence[tuple[str, str]],
    environ: Mapping[str, str],
    is_installed: Callable[[str], bool] = is_installed,
) -> None:
    """Installs the missing packages. Without root or apt, a SetupError says how to install them."""
    missing = missing_packages(needs, is_installed)
    if not missing:
        return
    names = " ".join(missing)
    apt = shutil.which("apt-get")
    if apt is None:
        programs = ", ".join(need for need, package in needs if package in missing)
        raise SetupError(f"Missing on this computer: {programs}. Install them; Debian's packages are: {names}")
    if os.geteuid() != 0:
        raise SetupError(f"Missing on this computer: {names}. Install with: sudo apt-get install {names}")
    say(f"installing {names}")
    _apt_install(apt, missing, {**environ, "DEBIAN_FRONTEND": "noninteractive"})
    if still_missing := missing_packages(needs, is_installed):
        raise SetupError(f"Still missing after the installation: {' '.join(still_missing)}")


def _apt_install(apt: str, packages: list[str], env: Mapping[str, str]) -> None:
    # A fresh container has no package lists. Outdated ones show as a failure of the first try.
    if not any(Path("/var/lib/apt/lists").glob("*Packages*")):
        run_logged("updating the package lists", [apt, "update"], env=env)
    install = [apt, "install", "-y", "--no-install-recommends", *packages]
    try:
        run_logged("installing Debian packages", install, env=env)
    except SetupError:
        run_logged("updating the package lists", [apt, "update"], env=env)
        run_logged("installing Debian packages", install, env=env)
