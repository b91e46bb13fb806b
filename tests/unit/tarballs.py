"""Reads the tarball of a packed app."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from tests.packed_app import packed


def members(app: Path) -> dict[str, tarfile.TarInfo]:
    """Pack the app, and list the tarball's members by name."""
    with _open(app) as archive:
        return {entry.name: entry for entry in archive}


def content(app: Path, name: str) -> bytes:
    """Pack the app, and read one file of the tarball."""
    with _open(app) as archive:
        stream = archive.extractfile(name)
        assert stream, f"{name} isn't a file"
        return stream.read()


def _open(app: Path) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(packed(app)))
