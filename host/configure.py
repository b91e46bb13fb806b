"""Applies the configuration of a server: the site, the firewall, systemd's units and Gunicorn's settings."""

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

FIREWALL = str(Paths().firewall)
# The path of a file tells which service reads it.
NGINX_PREFIXES = ("/etc/nginx/",)
UNIT_PREFIXES = ("/etc/systemd/",)
FIREWALL_PREFIXES = (FIREWALL, f"{Paths().firewall_rules}/")

Run = Callable[[list[str]], None]


class RefusedError(ReleaseError):
    """Nginx or nft refused its file; nothing was reloaded."""


@dataclass(frozen=True)
class Configuration:
    """Everything on a server besides its releases: contents by absolute path, and link targets by absolute path."""

    files: Mapping[str, str]
    links: Mapping[str, str]


def configure(paths: Paths, configuration: Configuration, run: Run | None = None) -> None:
    """Write the files and links that differ, and reload the services that read them.

    If Nginx or nft rejects its file, all old files and links are restored and ReleaseError is raised. ``run`` replaces
    the execution of commands in tests.
    """
    run = run or _run
    # While this file exists, perhaps a service hasn't read its files: the run that wrote them was killed or failed.
    pending = paths.configuration_pending
    with exclusive(paths.lock, "`gantry configure`"), phase("configure") as notes:
        changed = _changed(paths.root, configuration)
        before = {name: _content(_below(paths.root, name)) for name in changed}
        to_reload = list(configuration.files) if pending.exists() else _with_new_directives(configuration, before)
        if not changed and not to_reload:
            notes.append("unchanged")
            return
        files.write(pending, b"", 0o600)
        _apply(paths.root, configuration)
        try:
            _reload(to_reload, run)
        except RefusedError:
            for name, content in before.items():
                _restore(_below(paths.root, name), content)
            raise
        pending.unlink()
        notes.append(f"{len(changed)} changed")
    for path in changed:
        say(f"  {path}")


def _below(root: Path, name: str) -> Path:
    return root / name.lstrip("/")


def _changed(root: Path, configuration: Configuration) -> list[str]:
    """The paths that differ from the configuration."""
    contents = [path for path, text in configuration.files.items() if not _holds(_below(root, path), text)]
    links = [link for link, target in configuration.links.items() if not _points(_below(root, link), target)]
    return contents + links


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode() and path.stat().st_mode & 0o777 == _mode(text)


def _mode(text: str) -> int:
    """A script must be executable."""
    return 0o755 if text.startswith("#!") else 0o644


def _points(link: Path, target: str) -> bool:
    return link.is_symlink() and str(link.readlink()) == target


def _apply(root: Path, configuration: Configuration) -> None:
    for path, text in configuration.files.items():
        files.write(_below(root, path), text.encode(), _mode(text))
    for link, target in configuration.links.items():
        files.point(_below(root, link), target)


def _with_new_directives(configuration: Configuration, before: Mapping[str, bytes | str | None]) -> list[str]:
    """The changed paths, except Nginx files in which only comments, blank lines or indentation changed.

    For such files Nginx isn't reloaded: a reload closes connections on which a request may be arriving.
    """
    return [
        name
        for name, content in before.items()
        if not (
            name.startswith(NGINX_PREFIXES)
            and isinstance(content, bytes)
            and directives(content.decode(errors="replace")) == directives(configuration.files.get(name, ""))
        )
    ]


def directives(text: str) -> list[str]:
    """The lines of an Nginx file without comment lines, blank lines and indentation."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _reload(changed: Sequence[str], run: Run) -> None:
    """Check the changed files and reload the services that read them. Raises RefusedError if a check fails."""
    nginx, firewall = _any_starts(changed, NGINX_PREFIXES), _any_starts(changed, FIREWALL_PREFIXES)
    try:
        if nginx:
            run(["nginx", "-t", "-q"])
        if firewall:
            run(["nft", "--check", "--file", FIREWALL])
    except ReleaseError as error:
        raise RefusedError(str(error)) from None
    if _any_starts(changed, UNIT_PREFIXES):
        run(["systemctl", "daemon-reload"])
    if firewall:
        reload_firewall(run)
    if nginx:
        run(["systemctl", "reload-or-restart", "nginx"])


def _any_starts(paths: Sequence[str], prefixes: tuple[str, ...]) -> bool:
    return any(path.startswith(prefixes) for path in paths)


def reload_firewall(run: Run | None = None) -> None:
    """Load the firewall's rules in one step. Open connections stay open."""
    (run or _run)(["systemctl", "reload", "nftables"])


def _content(path: Path) -> bytes | str | None:
    """A file's content, a link's target, or None if the path doesn't exist."""
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else None


def _restore(path: Path, content: bytes | str | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    elif isinstance(content, str):
        files.point(path, content)
    else:
        files.write(path, content, _mode(content.decode(errors="replace")))


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise ReleaseError(f"{' '.join(command)} failed:\n{(result.stderr or result.stdout).strip()}")
