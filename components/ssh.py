"""An ssh command that trusts one host key and offers one key, which is never on a disk."""

from __future__ import annotations

import os


def command(address: str, user: str, host_key: str, key: int, words: list[str]) -> list[str]:
    """The ssh to ``address`` that offers just the key behind the file descriptor ``key`` of this process."""
    settings = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": "/dev/null",
        "GlobalKnownHostsFile": "/dev/null",
        "KnownHostsCommand": f"/bin/echo {address} {host_key}",
    }
    flags = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "none", "-i", f"/proc/{os.getpid()}/fd/{key}", *flags, f"{user}@{address}", *words]


def in_memory(key: str) -> int:
    """A file descriptor of ``key``, which ssh may read by way of /proc."""
    descriptor = os.memfd_create("ssh-key", 0)
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, key.encode())
    return descriptor
