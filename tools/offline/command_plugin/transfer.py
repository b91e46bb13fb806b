"""command:remote:CopyToRemote: a file, a text or a folder over SFTP."""

from __future__ import annotations

import io
import os
import posixpath
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from . import ssh
from .connection import dial
from .link import Link
from .operation import CommandError, Operation
from .values import Properties

_CHUNK = 256 * 1024


def copy_to_remote(operation: Operation, connection: Properties, *, source: Properties, remote_path: str) -> None:
    """Copies the asset or archive. An archive file is not unpacked.

    ======== ==================== =================== =============
    source   target is a folder   target is missing   target is a file
    ======== ==================== =================== =============
    dir      target/dir           target/dir          an error
    dir/     into target          into target         an error
    file     target/file          target              overwritten
    text     an error             target              overwritten
    ======== ==================== =================== =============
    """
    with dial(operation, connection) as link:
        _through_sftp(operation, link, remote_path, copy=lambda remote: _copy(remote, source, remote_path))


def copy_file(operation: Operation, connection: Properties, *, local_path: str, remote_path: str) -> None:
    """command:remote:CopyFile, the older resource: copies one file to exactly that path."""
    path = Path(local_path)
    _open(path).close()
    with dial(operation, connection) as link:
        _through_sftp(operation, link, remote_path, copy=lambda remote: remote.put_file(path, remote_path))


def _through_sftp(operation: Operation, link: Link, remote_path: str, *, copy: Callable[[_Remote], None]) -> None:
    library = ssh.paramiko()
    try:
        with operation.stopping(link.close):
            copy(_Remote(link.transport.open_sftp_client()))
    except (library.SSHException, EOFError, OSError) as error:
        operation.raise_if_cancelled()
        if not link.transport.is_active():
            raise link.lost_error() from None
        raise CommandError(f"failed to copy to {remote_path}: {error}") from None


def _copy(remote: _Remote, source: Properties, remote_path: str) -> None:
    if "text" in source and not source.get("path"):
        if remote.is_folder(remote_path):
            raise CommandError(
                f"remote path {remote_path} is a directory; when using a text asset, remotePath must be a file path"
            )
        remote.make_folders(posixpath.dirname(remote_path))
        remote.put(io.BytesIO(str(source.get("text") or "").encode()), remote_path)
        return
    # Path would drop the trailing slash, which means "the contents of the folder".
    path = str(source.get("path"))
    if Path(path).is_dir():
        _copy_folder(remote, path, remote_path)
    else:
        _copy_file(remote, Path(path), remote_path)


def _copy_file(remote: _Remote, path: Path, remote_path: str) -> None:
    if remote.is_folder(remote_path):
        remote_path = posixpath.join(remote_path, path.name)
    else:
        remote.make_folders(posixpath.dirname(remote_path))
    remote.put_file(path, remote_path)


def _copy_folder(remote: _Remote, path: str, remote_path: str) -> None:
    remote.make_folders(remote_path)
    # The base name is empty after a trailing slash, so that the contents go into the remote folder itself.
    remote_path = posixpath.join(remote_path, os.path.basename(path))  # noqa: PTH119  (Path.name ignores that slash)
    for folder, names, files in os.walk(path):
        names.sort()
        subfolder = os.path.relpath(folder, path)
        remote_folder = remote_path if subfolder == "." else posixpath.join(remote_path, subfolder)
        remote.make_folder(remote_folder)
        links = [name for name in names if Path(folder, name).is_symlink()]
        for name in sorted(files) + links:
            remote.put_file(Path(folder, name), posixpath.join(remote_folder, name))


def _open(path: Path) -> BinaryIO:
    try:
        # Opening a FIFO would wait for a writer.
        if not path.is_file():
            kind = "is not a regular file" if path.exists() else "does not exist"
            raise CommandError(f"cannot copy {path}: it {kind}")
        return path.open("rb")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None


class _Remote:
    """The SFTP requests that a copy needs."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def is_folder(self, path: str) -> bool:
        return self._kind(path) == "folder"

    def _kind(self, path: str) -> str:
        try:
            mode: int = self._client.stat(path).st_mode or 0
        except FileNotFoundError:
            return "missing"
        except OSError as error:
            raise CommandError(f"failed to stat remote path {path}: {error}") from None
        return "folder" if stat.S_ISDIR(mode) else "file"

    def make_folder(self, path: str) -> None:
        match self._kind(path):
            case "missing":
                try:
                    self._client.mkdir(path)
                except OSError as error:
                    raise CommandError(f"failed to create remote directory {path}: {error}") from None
            case "file":
                raise CommandError(f"remote path {path} exists but is not a directory")
            case _:
                return

    def make_folders(self, path: str) -> None:
        path = path.rstrip("/") or path[:1]
        if not path or self.is_folder(path):
            return
        self.make_folders(posixpath.dirname(path))
        self.make_folder(path)

    def put_file(self, path: Path, remote_path: str) -> None:
        with _open(path) as content:
            self.put(content, remote_path)

    def put(self, content: BinaryIO, remote_path: str) -> None:
        written = 0
        try:
            with self._client.open(remote_path, "wb") as target:
                # Without pipelining, each piece waits for the server's answer to the one before.
                target.set_pipelined(True)
                while data := content.read(_CHUNK):
                    target.write(data)
                    written += len(data)
            arrived = self._client.stat(remote_path).st_size
        except OSError as error:
            # A closed connection is an OSError, too. The caller reports it.
            if "closed" in str(error):
                raise
            self._remove(remote_path)
            raise CommandError(f"failed to write remote file {remote_path}: {error}") from None
        if arrived != written:
            # Failures of pipelined writes aren't reported. A full disk is the usual reason.
            self._remove(remote_path)
            raise CommandError(f"failed to write {remote_path}: {arrived} of {written} bytes arrived")

    def _remove(self, path: str) -> None:
        """Removes an incomplete file, which may fill the disk. Devices stay."""
        with suppress(OSError):  # there may be no such file
            if stat.S_ISREG(self._client.stat(path).st_mode or 0):
                self._client.remove(path)
