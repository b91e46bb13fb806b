"""An ssh command that trusts one host key and offers one key, on no disk for longer than a login takes."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# What ssh itself ends with where there was no connection.
NO_CONNECTION = 255


@dataclass(frozen=True)
class Login:
    """Where and as whom; ``host_key`` is the public key that the machine must show."""

    address: str
    user: str
    host_key: str
    private_key: str


def run(login: Login, words: list[str], *, timeout: float, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command on the machine. Raises OSError or subprocess.TimeoutExpired."""
    with offering(login.private_key) as identity:
        whole = command(login.address, login.user, login.host_key, identity, words)
        flags = ["-o", "ConnectTimeout=5", "-o", "BatchMode=yes"]
        return subprocess.run([*whole[:1], *flags, *whole[1:]], input=stdin, capture_output=True, timeout=timeout)


def command(address: str, user: str, host_key: str, identity: Sequence[str], words: Sequence[str]) -> list[str]:
    """The ssh to ``address`` that offers just the key of ``identity``, which ``offering`` gives."""
    settings = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": "/dev/null",
        "GlobalKnownHostsFile": "/dev/null",
        "KnownHostsCommand": f"/bin/echo {address} {host_key}",
    }
    flags = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "none", *identity, *flags, f"{user}@{address}", *words]


@contextmanager
def offering(key: str) -> Generator[list[str]]:
    """The words that let an ssh, started while the block runs, offer ``key``."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("ssh-key", 0), "w") as memory:
            os.fchmod(memory.fileno(), 0o600)
            memory.write(key)
            memory.flush()
            # By way of this process, since ssh closes the files that it inherits.
            yield ["-i", f"/proc/{os.getpid()}/fd/{memory.fileno()}"]
        return
    # Only Linux has files in memory. ssh itself removes this one as soon as it has logged in.
    descriptor, name = tempfile.mkstemp(prefix="ssh-key-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(key)
        removal = f"rm -f {shlex.quote(name)}".replace("%", "%%")
        yield ["-i", name, "-o", "PermitLocalCommand=yes", "-o", f"LocalCommand={removal}"]
    finally:
        Path(name).unlink(missing_ok=True)
