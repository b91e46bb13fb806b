"""Packs the host program: host/ as one zip application."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from components.files import write_once
from components.server import program_files
from host.paths import Paths

SOURCES = Path(__file__).resolve().parents[2] / "host"


@dataclass(frozen=True, kw_only=True)
class HostProgram:
    """The packed program: ``file`` on this computer, the ``path`` of its upload on a server, and root's ``copy``."""

    file: Path
    path: str
    copy: str


def pack(into: Path) -> HostProgram:
    """Write the program as a file in the folder ``into``. The same sources give the same bytes."""
    content = archive()
    digest = hashlib.sha256(content).hexdigest()[:12]
    path = Paths().host_program_upload(digest)
    file = into / path.name
    write_once(file, content)
    return HostProgram(file=file, path=str(path), copy=str(Paths().host_program_copy(digest)))


def archive() -> bytes:
    """The zip application: stored, sorted, and without times."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(_sources().items()):
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def _sources() -> dict[str, bytes]:
    # The lists of packages that the program installs are among its sources.
    files = sorted([*SOURCES.rglob("*.py"), *SOURCES.rglob("*.txt")])
    sources = {path.relative_to(SOURCES.parent).as_posix(): path.read_bytes() for path in files}
    contents = json.dumps(program_files.program_files(), indent=1).encode()
    return {**sources, "__main__.py": sources["host/__main__.py"], program_files.NAME: contents}
