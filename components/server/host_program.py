"""Packs the host program: host/ as one zip application."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from components.files import write_once
from host.paths import Paths

SOURCES = Path(__file__).resolve().parents[2] / "host"


@dataclass(frozen=True, kw_only=True)
class HostProgram:
    """The packed program: ``file`` on this computer, and the ``path`` of its upload on a server."""

    file: Path
    path: str


def pack(into: Path) -> HostProgram:
    """Write the program as a file in the folder ``into``. The same sources give the same bytes."""
    content = archive()
    path = Paths().host_program_upload(hashlib.sha256(content).hexdigest()[:12])
    file = into / path.name
    write_once(file, content)
    return HostProgram(file=file, path=str(path))


def archive() -> bytes:
    """The zip application: stored, sorted, and without times."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(_sources().items()):
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def _sources() -> dict[str, bytes]:
    files = sorted(SOURCES.rglob("*.py"))
    sources = {path.relative_to(SOURCES.parent).as_posix(): path.read_bytes() for path in files}
    return {**sources, "__main__.py": sources["host/__main__.py"]}
