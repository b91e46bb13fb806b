"""Bringing a server's files to what the stack's settings say: site, units, Gunicorn's settings."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from host import files
from host.console import phase, say
from host.errors import ReleaseError
from host.lock import exclusive
from host.paths import Paths

FIREWALL = "/etc/nftables.conf"
# Who reads a file is told by where it lies.
NGINX, UNITS, FIREWALLS = ("/etc/nginx/",), ("/etc/systemd/",), (FIREWALL, "/etc/gantry/firewall/")


@dataclass(frozen=True)
class Configuration:
    """What a server holds besides releases: contents by absolute path, and links by absolute path."""

    files: Mapping[str, str]
    links: Mapping[str, str]


def configure(paths: Paths, wanted: Configuration, run: Callable[[list[str]], None] | None = None) -> None:
    """Write what differs and make Nginx and systemd read it; a site that Nginx refuses is put back."""
    run = run or _run
    # Until this file is gone, the services may not have read what was written: a killed run is made good.
    pending = paths.state / "configuring"
    with exclusive(paths.lock, "a change of its configuration"), phase("configure") as notes:
        stale = _stale(paths.root, wanted)
        # A run that was killed may have told nobody.
        unread = list(wanted.files) if pending.exists() else stale
        if not unread:
            notes.append("unchanged")
            return
        files.write(pending, b"", 0o600)
        before = {path: _found(path) for path in map(paths.root.joinpath, _relative(stale))}
        _apply(paths.root, wanted)
        _reload(unread, before, run)
        pending.unlink()
        notes.append(f"{len(stale)} changed")
    for path in stale:
        say(f"  {path}")


def _stale(root: Path, wanted: Configuration) -> list[str]:
    """The paths that aren't as wanted."""
    contents = [path for path, text in wanted.files.items() if not _holds(root / path.lstrip("/"), text)]
    links = [link for link, target in wanted.links.items() if not _points(root / link.lstrip("/"), target)]
    return contents + links


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _points(link: Path, target: str) -> bool:
    return link.is_symlink() and str(link.readlink()) == target


def _relative(names: list[str]) -> list[str]:
    return [name.lstrip("/") for name in names]


def _apply(root: Path, wanted: Configuration) -> None:
    for path, text in wanted.files.items():
        files.write(root / path.lstrip("/"), text.encode(), 0o644)
    for link, target in wanted.links.items():
        files.point(root / link.lstrip("/"), target)


def _reload(changed: Sequence[str], before: dict[Path, bytes | str | None], run: Callable[[list[str]], None]) -> None:
    """Check what has changed, or put it back, and let those read it whom it concerns.

    A reload of Nginx closes connections on which a request may just be arriving: not without need.
    """
    nginx, firewall = (any(path.startswith(each) for path in changed) for each in (NGINX, FIREWALLS))
    try:
        if nginx:
            run(["nginx", "-t", "-q"])
        if firewall:
            run(["nft", "--check", "--file", FIREWALL])
    except ReleaseError:
        for path, found in before.items():
            _put_back(path, found)
        raise
    if any(path.startswith(UNITS) for path in changed):
        run(["systemctl", "daemon-reload"])
    if firewall:
        reload_firewall(run)
    if nginx:
        run(["systemctl", "reload-or-restart", "nginx"])


def reload_firewall(run: Callable[[list[str]], None] | None = None) -> None:
    """Load its rules anew, in one step; connections that are there stay."""
    (run or _run)(["systemctl", "reload", "nftables"])


def _found(path: Path) -> bytes | str | None:
    """What is at a path: a file's content, a link's target, or nothing."""
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else None


def _put_back(path: Path, found: bytes | str | None) -> None:
    if found is None:
        path.unlink(missing_ok=True)
    elif isinstance(found, str):
        files.point(path, found)
    else:
        files.write(path, found, 0o644)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout).strip()}")
