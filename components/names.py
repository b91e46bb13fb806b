"""Names that clouds accept. Pure functions."""

from __future__ import annotations

import hashlib
import re

# A hyphen and seven hexadecimal digits, which Pulumi adds to the names of cloud resources.
AUTONAME = 8
DIGEST = 6
PREFIX = "gantry-"


def label(name: str, limit: int = 63, reserved: tuple[str, ...] = ()) -> str:
    """``name`` in lower case letters, digits and hyphens, for a physical name of at most ``limit`` characters.

    It begins with none of ``reserved``. Where anything had to go or to come, a digest of the name keeps it apart from
    others.
    """
    longest = limit - AUTONAME
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if f"{plain}-".startswith(reserved):
        plain = f"{PREFIX}{plain}"
    if plain == name and len(plain) <= longest:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST]
    return f"{plain[: longest - DIGEST - 1].strip('-')}-{digest}".lstrip("-")
