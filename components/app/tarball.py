"""Writes the tarball of an app: the same files give the same bytes on every computer. No file is held in memory."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.errors import UserError

_CHUNK = 1 << 20


class FileError(UserError):
    """A file of the app can't be read; the text names it and says what to do."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file or link of the tarball. The content is in the file ``path``, or is ``content``; a link has none.

    ``version`` changes if the file changes. ``start`` has the first bytes of the content.
    """

    header: bytes
    size: int = 0
    path: Path | None = None
    version: tuple[int, ...] = ()
    content: bytes = b""
    start: bytes = b""


def file(name: str, path: Path) -> Member:
    """A regular file. Raises FileError."""
    digest = hashlib.sha256()
    start = b""
    with _Reader(path) as reader:
        for chunk in reader.chunks(reader.size):
            start = start or chunk[:1024]
            digest.update(chunk)
        header = _header(name, reader.size, digest.digest(), is_executable=reader.is_executable)
        return Member(header=header, size=reader.size, path=path, version=reader.version, start=start)


def read(path: Path) -> bytes:
    """The content of a regular file, for a file that Gantry itself reads. Raises FileError."""
    with _Reader(path) as reader:
        return b"".join(reader.chunks(reader.size))


def generated(name: str, content: bytes) -> Member:
    """A file that the app's folder doesn't have."""
    return Member(
        header=_header(name, len(content), hashlib.sha256(content).digest()), size=len(content), content=content
    )


def link(name: str, target: str) -> Member:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    entry.mtime = _mtime(hashlib.sha256(os.fsencode(target)).digest())
    return Member(header=_bytes(entry))


def size(members: Sequence[Member]) -> int:
    """The size of the tarball in bytes."""
    return _rounded(sum(map(_size, members)) + 2 * tarfile.BLOCKSIZE, tarfile.RECORDSIZE)


def write(members: Sequence[Member], write: Callable[[bytes], object]) -> str:
    """Pass the tarball to ``write``, piece by piece; returns its SHA-256 in hex digits. Raises FileError."""
    digest = hashlib.sha256()
    for piece in _pieces(members):
        digest.update(piece)
        write(piece)
    return digest.hexdigest()


def _pieces(members: Sequence[Member]) -> Iterator[bytes]:
    for member in members:
        yield member.header
        if member.path:
            with _Reader(member.path) as reader:
                yield from reader.chunks(member.size)
                if reader.version != member.version:
                    raise _changed(member.path)
        yield member.content
        yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(size(members) - sum(map(_size, members)))


def _size(member: Member) -> int:
    return len(member.header) + _rounded(member.size, tarfile.BLOCKSIZE)


def _rounded(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def _header(name: str, size: int, digest: bytes, *, is_executable: bool = False) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size, entry.mtime = 0o755 if is_executable else 0o644, size, _mtime(digest)
    return _bytes(entry)


def _bytes(entry: tarfile.TarInfo) -> bytes:
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _mtime(digest: bytes) -> int:
    """A time between 2000 and 2017 that depends on the content alone.

    It isn't a constant: web frameworks make a static file's ETag from its time and size. With a constant, browsers
    would keep the old file after an edit that doesn't change the size.
    """
    return 946_684_800 + int.from_bytes(digest[:4]) // 8


class _Reader:
    """Reads a regular file; a pipe or a link that has taken its place isn't opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise _unreadable(path, error) from None
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise _changed(path)
        self.size = status.st_size
        self.is_executable = bool(status.st_mode & stat.S_IXUSR)

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    @property
    def version(self) -> tuple[int, ...]:
        status = os.fstat(self._descriptor)
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def chunks(self, size: int) -> Iterator[bytes]:
        """The first ``size`` bytes; raises FileError if the file is shorter."""
        while size:
            try:
                chunk = os.read(self._descriptor, min(size, _CHUNK))
            except OSError as error:
                raise _unreadable(self._path, error) from None
            if not chunk:
                raise _changed(self._path)
            size -= len(chunk)
            yield chunk


def _unreadable(path: Path, error: OSError) -> FileError:
    if isinstance(error, FileNotFoundError):
        return _changed(path)
    return FileError(f"{path} can't be read ({error.strerror}): change its permissions, or add it to .gitignore")


def _changed(path: Path) -> FileError:
    return FileError(
        f"{path} changed while the app was packed: run the command again; if a program keeps writing the file, add it"
        " to .gitignore"
    )
