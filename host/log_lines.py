"""Reads the lines that are appended to a log, also while the log is rotated: each line once."""

from __future__ import annotations

import os
import time
import weakref
from dataclasses import dataclass, field
from pathlib import Path

# For this long after its rotation, Nginx may still write to the old file.
WRITTEN_SECONDS = 5.0
_READ_BYTES = 1024 * 1024
# More than a log has between two rotations.
MOST_BYTES = 1024**3


class _File:
    """An open log or copy, which is closed with its last reference. ``offset`` is behind the last complete line."""

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError."""
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        self.offset = 0
        # When another file took the log's place, by the monotonic clock.
        self.replaced_at: float | None = None

    @property
    def inode(self) -> int:
        return os.fstat(self._descriptor).st_ino

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, most_bytes: int) -> list[str]:
        """The complete lines since the last call, or of the last ``most_bytes``."""
        if self.size < self.offset:
            # The file was truncated instead of renamed.
            self.offset = 0
        self.offset = max(self.offset, self.size - most_bytes)
        content = b""
        while part := os.pread(self._descriptor, _READ_BYTES, self.offset + len(content)):
            content += part
        complete = content[: content.rfind(b"\n") + 1]
        self.offset += len(complete)
        return complete.decode(errors="replace").split("\n")[:-1]


@dataclass
class LogLines:
    """The lines that are appended to the log ``path``, from ``tail`` bytes before its end.

    A rotation renames the log to a copy, ``<name>-<time>``, and creates a new one: host/log_rotation.py.
    """

    path: Path
    tail: int = 0
    _files: list[_File] = field(default_factory=list[_File])
    _last_copy: str = ""

    def __post_init__(self) -> None:
        copies, missing = self._copies(), self.tail
        self._last_copy = copies[-1].name if copies else ""
        # The log is short after a rotation. Then its tail begins in a copy.
        for path in (self.path, *reversed(copies)):
            if (path == self.path or missing > 0) and (file := _opened(path)):
                file.offset = max(0, file.size - missing)
                missing -= file.size - file.offset
                file.replaced_at = None if path == self.path else time.monotonic()
                self._files.insert(0, file)

    def read(self, most_bytes: int = MOST_BYTES) -> list[str]:
        """The complete lines since the last call, in their order. Of each file at most the last ``most_bytes``."""
        self._open_new_files()
        lines: list[str] = []
        for file in list(self._files):
            new = file.read(most_bytes)
            lines += new
            if file.replaced_at and not new and time.monotonic() >= file.replaced_at + WRITTEN_SECONDS:
                self._files.remove(file)
        return lines

    def _copies(self) -> list[Path]:
        return sorted(self.path.parent.glob(f"{self.path.name}-*"))

    def _open_new_files(self) -> None:
        # A copy that is new may be the file that is open here, or one that came and went between two calls.
        new_copies = [copy for copy in self._copies() if copy.name > self._last_copy]
        for path in (*new_copies, self.path):
            file = _opened(path)
            if file is None or file.inode in {known.inode for known in self._files}:
                continue
            for known in self._files:
                known.replaced_at = known.replaced_at or time.monotonic()
            self._files.append(file)
        if new_copies:
            self._last_copy = new_copies[-1].name


def _opened(path: Path) -> _File | None:
    try:
        return _File(path)
    except FileNotFoundError:
        return None
