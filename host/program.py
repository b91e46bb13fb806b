"""Root's own copy of the host program. The uploaded file belongs to a user, who could change it later."""

from __future__ import annotations

import zipfile
from pathlib import Path

from host import bytecode, files
from host.paths import Paths


def install(uploaded: Path, target: str | None, paths: Paths) -> None:
    """Copies the ``uploaded`` program to ``target``, a path on the server, unless it is there. Adds bytecode.

    Does nothing if ``target`` isn't a path in the folder of the copies.
    """
    if target is None or Path(target).parent != Paths().programs:
        return
    copy = paths.programs / Path(target).name
    # The bytecode makes the copy differ from the upload. Its name has the digest of the upload.
    if not copy.exists() and zipfile.is_zipfile(uploaded):
        files.write(copy, uploaded.read_bytes(), 0o644)
    if copy.exists():
        bytecode.add(copy)
