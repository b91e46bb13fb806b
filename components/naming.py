"""Names that clouds accept. Pure functions."""

from __future__ import annotations

import hashlib
import re

# Pulumi adds a hyphen and seven hexadecimal digits to the names of cloud resources.
AUTONAME_LENGTH = 8
DIGEST_LENGTH = 6
PREFIX = "gantry-"
DIGITS = tuple("0123456789")
# https://docs.digitalocean.com/reference/api/digitalocean/#tag/Block-Storage
DROPLET_VOLUME_LIMIT = 64


def label(name: str, limit: int = 63, reserved: tuple[str, ...] = ()) -> str:
    """``name`` in lower case letters, digits and hyphens, for a physical name of at most ``limit`` characters.

    It begins with none of the ``reserved`` prefixes. If the name had to be changed, a digest keeps the result unique.
    """
    longest = limit - AUTONAME_LENGTH
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if f"{plain}-".startswith(reserved):
        plain = f"{PREFIX}{plain}"
    if plain == name and len(plain) <= longest:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{plain[: longest - DIGEST_LENGTH - 1].strip('-')}-{digest}".lstrip("-")


def droplet_volume(name: str) -> str:
    """The label of a volume on DigitalOcean, whose name must begin with a letter."""
    return label(name, DROPLET_VOLUME_LIMIT, reserved=DIGITS)
