"""Debian packages that the set-up and the local target need, installed where that is allowed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from components.local.host import TOOLS
from tools.setup.programs import run_logged
from tools.setup.report import SetupError, say

# What the local target needs, and the Debian package that brings it; a path is a file and no program.
LOCAL_TARGET = (
    *TOOLS.items(),
    ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
    ("ssh", "openssh-client"),
)
# Not installed on anybody's own computer: the packages start servers there.
TESTS = (*LOCAL_TARGET, ("sshd", "openssh-server"), ("wrk", "wrk"), ("haproxy", "haproxy"))
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


def on_system(program: str) -> bool:
    """Also where a user's PATH does not lead: these are programs of the administrator."""
    if program.startswith("/"):
        return Path(program).exists()
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), SYSTEM_FOLDERS])
    return shutil.which(program, path=path) is not None


def missing_packages(needs: Sequence[tuple[str, str]], is_there: Callable[[str], bool]) -> list[str]:
    return list(dict.fromkeys(package for need, package in needs if not is_there(need)))


def install_packages(
    needs: Sequence[tuple[str, str]],
    environ: Mapping[str, str],
    is_there: Callable[[str], bool] = on_system,
) -> None:
    """Installs what is missing, or tells the command that does."""
    missing = missing_packages(needs, is_there)
    if not missing:
        return
    names = " ".join(missing)
    apt = shutil.which("apt-get")
    if apt is None:
        programs = ", ".join(need for need, package in needs if package in missing)
        raise SetupError(f"Missing on this computer: {programs}. Install what Debian calls: {names}")
    if os.geteuid() != 0:
        raise SetupError(f"Missing on this computer: {names}. Install with: sudo apt-get install {names}")
    say(f"installing {names}")
    env = {**environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Package lists that are absent, as in a fresh container, or out of date show as a failed first try.
    if not any(Path("/var/lib/apt/lists").glob("*Packages*")):
        run_logged("updating the package lists", [apt, "update"], env=env)
    install = [apt, "install", "-y", "--no-install-recommends", *missing]
    try:
        run_logged("installing Debian packages", install, env=env)
    except SetupError:
        run_logged("updating the package lists", [apt, "update"], env=env)
        run_logged("installing Debian packages", install, env=env)
    still = missing_packages(needs, is_there)
    if still:
        raise SetupError(f"Still missing after their installation: {' '.join(still)}")
