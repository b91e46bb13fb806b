"""The certificate with its key and the account at the authority, as a text that another server can be given."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import TypedDict

from host import files
from host.certificates import certbot
from host.errors import ReleaseError
from host.paths import Paths

# The folders of certbot's configuration that it needs: accounts, the certificate, and what it was asked for. It keeps
# all older certificates in archive/; only those that live/ points to are taken.
_FOLDERS = ("accounts", "live", "renewal")
_ARCHIVE = "archive"


class Archive(TypedDict):
    """Contents of files and targets of links, by paths below certbot's configuration."""

    files: dict[str, str]
    links: dict[str, str]


def pack(paths: Paths) -> Archive | None:
    """None if there is no certificate yet. It is a secret."""
    top = paths.acme_config
    if not (top / "live" / certbot.NAME).is_dir():
        return None
    archive = Archive(files={}, links={})
    for path in sorted(path for folder in _FOLDERS for path in (top / folder).rglob("*")):
        name = str(path.relative_to(top))
        if path.is_symlink():
            archive["links"][name] = str(path.readlink())
            target = path.resolve()
            if target.is_file() and target.is_relative_to(top.resolve() / _ARCHIVE):
                archive["files"][str(target.relative_to(top.resolve()))] = target.read_text()
        elif path.is_file():
            archive["files"][name] = path.read_text()
    return archive


def restore(paths: Paths, archive: Archive) -> bool:
    """Unpack the archive on a server that has no certificate. Returns False if it has one.

    Raises ReleaseError for a path outside of certbot's configuration.
    """
    top = paths.acme_config
    if (top / "live" / certbot.NAME).is_dir():
        return False
    for name in (*archive["files"], *archive["links"]):
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or parts[0] not in (*_FOLDERS, _ARCHIVE):
            raise ReleaseError(f"the kept certificate has the path {name!r}, which isn't one of certbot's")
    # A run that was killed may have left a part.
    shutil.rmtree(top, ignore_errors=True)
    for name, content in archive["files"].items():
        files.write(top / name, content.encode(), 0o600)
    for name, target in archive["links"].items():
        _link(top / name, target)
    certbot.prepare(paths)
    return True


def _link(link: Path, target: str) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
