"""Names that clouds accept. Pure functions."""

from __future__ import annotations

import hashlib
import re

# A hyphen and seven hexadecimal digits, which Pulumi adds to the names of cloud resources.
AUTONAME = 8
DIGEST = 6


def label(name: str, limit: int = 63) -> str:
    """``name`` in lower case letters, digits and hyphens, for a physical name of at most ``limit`` characters.

    Where anything had to go, a digest of the name keeps it apart from others.
    """
    longest = limit - AUTONAME
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if plain == name and len(plain) <= longest:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST]
    return f"{plain[: longest - DIGEST - 1].strip('-')}-{digest}".lstrip("-")
