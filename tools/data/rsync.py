"""Runs rsync over SSH with one trusted host key. rsync itself resumes, compares, and keeps modes and hard links."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components import ssh
from host.paths import Paths

APP_HOME = Paths().app_home
# Folder, links, modes, times and hard links. No owners: on this computer nobody else can be one. No devices.
_WHAT = ("--recursive", "--links", "--perms", "--times", "--hard-links")
# An incomplete file stays in this folder, and the next run goes on with it.
_PARTIAL = "--partial-dir=.rsync-partial"
# A dead connection must not keep rsync waiting for ever.
_ALIVE = ("ServerAliveInterval=15", "ServerAliveCountMax=4", "ConnectTimeout=20", "BatchMode=yes")
_APT = "sudo DEBIAN_FRONTEND=noninteractive apt-get -qq"
INSTALL = f"command -v rsync > /dev/null || {{ {_APT} update; {_APT} install --yes rsync > /dev/null; }}"
INSTALL_SECONDS = 300


class CopyError(Exception):
    """An error that the reader can fix. The text has the next command."""


@dataclass(frozen=True)
class Copy:
    """A copy from ``source`` to ``target``; one of both is ``None``, the server's /var/lib/app."""

    login: ssh.Login
    source: Path | None
    target: Path | None
    options: Sequence[str] = ()

    def run(self) -> None:
        """Copies, or goes on with a copy. Raises CopyError."""
        status = self._rsync(["--info=progress2"], capture=False).returncode
        # 24: a file vanished while rsync ran. The comparison decides whether that matters.
        if status not in (0, 24):
            raise CopyError(f"rsync ended with status {status}. Run the command again: it goes on where it stopped")

    def differences(self) -> list[str]:
        """The paths that differ, by checksum. Raises CopyError."""
        result = self._rsync(["--dry-run", "--checksum", "--itemize-changes"], capture=True)
        if result.returncode not in (0, 24):
            raise CopyError(f"the copy can't be compared: {result.stderr.decode(errors='replace').strip()}")
        lines = result.stdout.decode(errors="replace").splitlines()
        # The first word says what differs. A folder's time alone doesn't matter.
        changes = [line.split(" ", 1) for line in lines if " " in line]
        return [path.strip() for what, path in changes if not what.startswith(".d..t......")]

    def _rsync(self, words: list[str], *, capture: bool) -> subprocess.CompletedProcess[bytes]:
        with ssh.offering(self.login.private_key) as identity:
            *program, destination = ssh.command(
                self.login.address,
                self.login.user,
                host_key=self.login.host_key,
                identity=[*identity, *(word for option in _ALIVE for word in ("-o", option))],
                words=[],
            )
            source, target = (f"{place or f'{destination}:{APP_HOME}'}/" for place in (self.source, self.target))
            command = ["rsync", *_WHAT, "--delete", _PARTIAL, *self.options, *words]
            command += ["--rsync-path", "sudo rsync", "--rsh", shlex.join(program), source, target]
            return subprocess.run(command, capture_output=capture)


def require_programs(login: ssh.Login, server: str) -> None:
    """Installs rsync on the server if it is missing there. Raises CopyError if it is missing here."""
    if shutil.which("rsync") is None:
        raise CopyError("rsync isn't on this computer. Install it, on Debian with: sudo apt-get install rsync")
    result = ssh.run(login, [INSTALL], timeout=INSTALL_SECONDS)
    if result.returncode != 0:
        output = (result.stderr or result.stdout).decode(errors="replace").strip()
        raise CopyError(f"{server}: rsync can't be installed, or the server can't be reached\n{output}")
