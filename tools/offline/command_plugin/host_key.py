"""Checks a server's host key against the one that the program has pinned."""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
from dataclasses import dataclass
from typing import Any

from .operation import CommandError

_ALGORITHMS = {
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
}


@dataclass(frozen=True)
class HostKey:
    kind: str
    blob: bytes

    @property
    def algorithms(self) -> tuple[str, ...]:
        return _ALGORITHMS[self.kind]

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.kind, self.blob)

    def verify(self, offered: Any) -> None:
        blob: bytes = offered.asbytes()
        if blob != self.blob:
            raise HostKeyMismatch(
                f"host key mismatch: expected {self.fingerprint}, "
                f"but the server has {fingerprint(offered.get_name(), blob)}"
            )


class HostKeyMismatch(Exception):
    """The server's host key isn't the pinned one."""


def parse_host_key(text: str) -> HostKey:
    """Reads a key from a .pub file or a line of authorized_keys."""
    words = text.split()
    for kind, encoded in itertools.pairwise(words):
        if kind not in _ALGORITHMS:
            continue
        try:
            return HostKey(kind, base64.b64decode(encoded, validate=True))
        except binascii.Error:
            break
    raise CommandError(
        "failed to parse hostKey: expected a public key such as 'ssh-ed25519 AAAA...' "
        f"of one of the types {', '.join(_ALGORITHMS)}"
    )


def fingerprint(kind: str, blob: bytes) -> str:
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"{kind} SHA256:{digest}"
