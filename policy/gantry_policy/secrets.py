"""Finds secrets in texts and in user-data."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import yaml

# The keys are the names for messages. More patterns: https://docs.github.com/en/code-security/secret-scanning
_KINDS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a DigitalOcean token": re.compile(r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    "a Pulumi token": re.compile(r"\bpul-[0-9a-f]{40}\b"),
    "a GitHub token": re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,})\b"),
    "an address with a password": re.compile(r"://[^\s/:@]+:[^\s/@$]+@"),
    "a value that is named like a secret": re.compile(
        # After a space, the value must have a digit: "password authentication" is no secret.
        r"(?i)(passw(or)?d|passphrase|secret|token|api_?key|credential)\w*[\"']?(\s*[:=]\s*|\s+(?=\S*\d))"
        r"[\"']?(?![$%<{/.])[^\s\"'$]{8,}"
    ),
}
_HOST_KEY = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END OPENSSH PRIVATE KEY-----\s*")


def kinds_in(text: str) -> list[str]:
    """The kinds of secrets that the text seems to hold; never a secret itself."""
    return [kind for kind, pattern in _KINDS.items() if pattern.search(text)]


def kinds_in_user_data(user_data: str) -> list[str]:
    """The kinds of secrets in cloud-init's user-data, without the host key for the bootstrap.

    The bootstrap replaces that key. It must be in the user-data for this reason:
    docs/decisions/0004-replace-the-host-key-in-the-bootstrap.md
    """
    kinds = {kind for text in _texts(user_data) for kind in kinds_in(text)}
    return [kind for kind in _KINDS if kind in kinds]


def user_data_holds_no_secret(props: Mapping[str, Any]) -> Iterator[str]:
    """User-data holds no secret except the host key for the bootstrap."""
    for kind in kinds_in_user_data(text_of(user_data_of(props))):
        yield f"the user-data seems to hold {kind}, and every process can read it as metadata: deliver it over SSH"


def user_data_of(props: Mapping[str, Any]) -> bytes:
    """The user-data of an instance or droplet, in the bytes that count for its size."""
    plain = props.get("userData")
    return base64.b64decode(props.get("userDataBase64") or "") if plain is None else str(plain).encode()


def text_of(user_data: bytes) -> str:
    """The user-data as text, unpacked if it is gzip."""
    unpacked = gzip.decompress(user_data) if user_data.startswith(b"\x1f\x8b") else user_data
    return unpacked.decode(errors="replace")


def _texts(user_data: str) -> Iterator[str]:
    """The texts to search: comments and values of a cloud-config, or the whole script."""
    if not user_data.startswith("#cloud-config"):
        yield user_data
        return
    yield from (line[line.index("#") :] for line in user_data.splitlines() if "#" in line)
    document: dict[str, Any] = yaml.safe_load(user_data) or {}
    keys: dict[str, Any] = document.get("ssh_keys") or {}
    if _HOST_KEY.fullmatch(str(keys.get("ed25519_private"))):
        other_keys = {name: value for name, value in keys.items() if name != "ed25519_private"}
        document = {**document, "ssh_keys": other_keys}
    yield from _leaves("", document)


def _leaves(key: str, value: object) -> Iterator[str]:
    """Each value of the document as text, after its key."""
    if isinstance(value, dict):
        for name, item in cast("dict[str, object]", value).items():
            yield from _leaves(name, item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _leaves(key, item)
    else:
        yield f"{key}: {value}"
