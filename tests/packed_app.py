"""The tarball of an app's folder, for tests that release it without the Pulumi program."""

from __future__ import annotations

from pathlib import Path

from components.app import artifact, tarball


def packed(app: Path) -> bytes:
    """The bytes of the app's tarball. Raises UserError."""
    pieces: list[bytes] = []
    tarball.write(artifact.contents(app)[0], pieces.append)
    return b"".join(pieces)
