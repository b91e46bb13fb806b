"""The archive: the certificate, its key and the account at the authority, as JSON for another server."""

from __future__ import annotations

import os.path
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict, cast

from host import files
from host.certificates import certbot, issued
from host.certificates.issued import CHAIN, KEY
from host.errors import ReleaseError
from host.paths import Paths

# The folders that certbot needs: the accounts, the certificate, and the settings for its renewal. The folder archive/
# has all older certificates, too. Only files that live/ points to are packed.
_FOLDERS = ("accounts", "live", "renewal")
_ARCHIVE = "archive"
# certbot may be replacing files one by one at this moment.
_ATTEMPTS, _PAUSE_SECONDS = 5, 0.5


class Archive(TypedDict):
    """Contents of files and targets of links, by paths below certbot's configuration."""

    files: dict[str, str]
    links: dict[str, str]


def pack(paths: Paths) -> Archive | None:
    """Pack the newest certificate, its key and the account: a secret. Returns None if no certificate works."""
    top = paths.acme_config.resolve()
    live = certbot.live(top)
    for attempt in range(_ATTEMPTS if live.is_dir() else 0):
        time.sleep(_PAUSE_SECONDS if attempt else 0)
        try:
            before = _pair(live)
            archive = _read(top)
            if issued.read(live) and _pair(live) == before:
                return archive
        except (OSError, UnicodeDecodeError):
            continue
    return None


def _pair(folder: Path) -> tuple[bytes, bytes]:
    return (folder / CHAIN).read_bytes(), (folder / KEY).read_bytes()


def _read(top: Path) -> Archive:
    archive = Archive(files={}, links={})
    for path in sorted(path for folder in _FOLDERS for path in (top / folder).rglob("*")):
        target = path.resolve()
        # certbot's user could make links to files that only root may read.
        if not target.is_relative_to(top):
            continue
        if path.is_symlink():
            archive["links"][str(path.relative_to(top))] = str(path.readlink())
            if target.is_file() and target.is_relative_to(top / _ARCHIVE):
                archive["files"][str(target.relative_to(top))] = target.read_text()
        elif path.is_file():
            archive["files"][str(path.relative_to(top))] = path.read_text()
    return archive


def restore(paths: Paths, archive: Mapping[str, Any]) -> bool:
    """Unpack the archive on a server that has no certificate. Returns False if it has one that works.

    The caller holds the lock of the certificate. Raises ReleaseError, and changes nothing, if the archive has a path
    outside of certbot's configuration, or no certificate that works.
    """
    top = paths.acme_config
    if issued.read(certbot.live(top)):
        return False
    # The new folder gets its name at the end: nobody finds a part of it after a run that was killed.
    new = top.with_name(f".{top.name}.restored")
    shutil.rmtree(new, ignore_errors=True)
    try:
        for problem in _problems(archive):
            raise ReleaseError(f"the kept certificate can't be restored: {problem}")
        for name, content in archive["files"].items():
            files.write(new / name, content.encode(), 0o600)
        for name, target in archive["links"].items():
            files.point(new / name, target)
        if issued.read(certbot.live(new)) is None:
            raise ReleaseError("the kept certificate can't be read, or isn't for the kept key")
        shutil.rmtree(top, ignore_errors=True)
        new.rename(top)
    except (OSError, UnicodeError) as error:
        raise ReleaseError(f"the kept certificate can't be restored: {error}") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    certbot.prepare(paths)
    return True


def _problems(archive: object) -> Iterator[str]:
    document = cast("dict[str, Any]", archive if isinstance(archive, dict) else {})
    contents, links = document.get("files"), document.get("links")
    if not isinstance(contents, dict) or not isinstance(links, dict):
        yield "it has no files and links"
        return
    contents, links = cast("dict[str, Any]", contents), cast("dict[str, Any]", links)
    for name, value in (*contents.items(), *links.items()):
        if not _is_inside(name) or not isinstance(value, str):
            yield f"it has the path {name!r}, which isn't one of certbot's"
    for name, target in links.items():
        if not _is_inside(os.path.normpath(PurePosixPath(name).parent / str(target))):
            yield f"its link {name!r} leads to {target!r}"


def _is_inside(name: str) -> bool:
    """Whether it is a path in certbot's folders, relative to its configuration."""
    parts = PurePosixPath(name).parts
    return len(parts) > 1 and ".." not in parts and parts[0] in (*_FOLDERS, _ARCHIVE)
