"""What looks like a secret, and the one that user-data holds by design."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import yaml

# By the name that a message may have. https://docs.github.com/en/code-security/secret-scanning has more of the kind.
_KINDS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a DigitalOcean token": re.compile(r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    "a Pulumi token": re.compile(r"\bpul-[0-9a-f]{40}\b"),
    "a GitHub token": re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,})\b"),
    "an address with a password": re.compile(r"://[^\s/:@]+:[^\s/@$]+@"),
    "a value that is named like a secret": re.compile(
        # After a mere space only what has a digit, since "password authentication" is none.
        r"(?i)(passw(or)?d|passphrase|secret|token|api_?key|credential)\w*[\"']?(\s*[:=]\s*|\s+(?=\S*\d))"
        r"[\"']?(?![$%<{/.])[^\s\"'$]{8,}"
    ),
}
_HOST_KEY = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END OPENSSH PRIVATE KEY-----\s*")


def kinds_in(text: str) -> list[str]:
    """What kinds of secrets the text seems to hold; never a secret itself."""
    return [kind for kind, pattern in _KINDS.items() if pattern.search(text)]


def kinds_in_user_data(user_data: str) -> list[str]:
    """The same for cloud-init's user-data, but for the host key of the first contact, which is replaced there.

    docs/decisions/0004-replace-the-host-key-in-the-bootstrap.md says why that one must be in it.
    """
    found = {kind for text in _texts(user_data) for kind in kinds_in(text)}
    return [kind for kind in _KINDS if kind in found]


def secrets_of_user_data(props: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the user-data of an instance or droplet, as a rule says it."""
    for kind in kinds_in_user_data(text_of(user_data_of(props))):
        yield f"the user-data seems to hold {kind}: whatever can reach the metadata reads it; deliver it over SSH"


def user_data_of(props: Mapping[str, Any]) -> bytes:
    """The user-data of an instance or droplet, as its size counts."""
    plain = props.get("userData")
    return base64.b64decode(props.get("userDataBase64") or "") if plain is None else str(plain).encode()


def text_of(user_data: bytes) -> str:
    unpacked = gzip.decompress(user_data) if user_data.startswith(b"\x1f\x8b") else user_data
    return unpacked.decode(errors="replace")


def _texts(user_data: str) -> Iterator[str]:
    if not user_data.startswith("#cloud-config"):
        yield user_data
        return
    yield from (line[line.index("#") :] for line in user_data.splitlines() if "#" in line)
    document: dict[str, Any] = yaml.safe_load(user_data) or {}
    keys: dict[str, Any] = document.get("ssh_keys") or {}
    if _HOST_KEY.fullmatch(str(keys.get("ed25519_private"))):
        others = {name: value for name, value in keys.items() if name != "ed25519_private"}
        document = {**document, "ssh_keys": others}
    yield from _leaves("", document)


def _leaves(key: str, value: object) -> Iterator[str]:
    """Each text of the document, with the key it has."""
    if isinstance(value, dict):
        for name, each in cast("dict[str, object]", value).items():
            yield from _leaves(name, each)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _leaves(key, each)
    else:
        yield f"{key}: {value}"
