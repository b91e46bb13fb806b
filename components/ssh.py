"""Runs ssh with one trusted host key and one private key. The private key is never on a disk longer than a login takes.

bin/ssh imports this module without Pulumi.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# The users of a server: one for releases, one for people. Earlier versions had only the first.
DEPLOY, ADMIN = "deploy", "admin"
# The exit status of ssh itself if it can't connect.
NO_CONNECTION = 255


@dataclass(frozen=True)
class Login:
    """A user of a server; ``host_key`` is the public key that the server must show. ``private_key`` is a secret."""

    address: str
    user: str
    host_key: str
    private_key: str


def run(
    login: Login, words: list[str], *, timeout: float, stdin: bytes | Path = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command on the server; ``timeout`` in seconds, ``stdin`` as bytes or as a file.

    Raises OSError or subprocess.TimeoutExpired.
    """
    with offering(login.private_key) as identity:
        program, *arguments = command(
            login.address, login.user, host_key=login.host_key, identity=identity, words=words
        )
        flags = ["-o", "ConnectTimeout=5", "-o", "BatchMode=yes"]
        words = [program, *flags, *arguments]
        if isinstance(stdin, bytes):
            return subprocess.run(words, input=stdin, capture_output=True, timeout=timeout)
        with stdin.open("rb") as stream:
            return subprocess.run(words, stdin=stream, capture_output=True, timeout=timeout)


def command(address: str, user: str, *, host_key: str, identity: Sequence[str], words: Sequence[str]) -> list[str]:
    """The ssh command that logs in and runs ``words``. ``identity`` comes from ``offering``."""
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
    """The arguments that let an ssh, started while the block runs, offer the private key ``key``."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("ssh-key", 0), "w") as memory:
            os.fchmod(memory.fileno(), 0o600)
            memory.write(key)
            memory.flush()
            # ssh closes the files that it inherits, so it opens this process's file.
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
