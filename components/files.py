"""Files on this computer whose names contain the digest of their content."""

from __future__ import annotations

import os
from pathlib import Path


def write_once(path: Path, content: bytes) -> None:
    """Write ``content`` unless the file exists. Readers never see an incomplete file."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
