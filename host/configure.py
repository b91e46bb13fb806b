"""Applies the configuration of a server: the site, the firewall, systemd's units and Gunicorn's settings."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from host import commands, files, https_listener, log_rotation, nginx_limits, nginx_upgrade, systemd, update_window
from host.console import phase, say
from host.errors import ReleaseError
from host.lock import exclusive
from host.packages import ownership
from host.paths import Paths

FIREWALL = str(Paths().firewall)
# The path of a file tells which service reads it.
NGINX_PREFIXES = ("/etc/nginx/", str(Paths().nginx_limits), str(Paths().https_listener))
UNIT_PREFIXES = ("/etc/systemd/",)
# A reload of Nginx reads its configuration, but systemd applies these files only when it starts Nginx.
NGINX_UNIT_PREFIXES = (f"{Paths().unit_drop_ins(systemd.NGINX)}/",)
FIREWALL_PREFIXES = (FIREWALL, f"{Paths().firewall_rules}/", str(Paths().unlimited_rules))
# The script and the unit that restore the rules.
FIREWALL_KEEPER = (str(Paths().firewall_keeper), str(Paths().units / systemd.FIREWALL_UNIT))
# Files that `gantry check` doesn't compare. Of Nginx's main file, only one number is Gantry's: the rest may be
# somebody's own. The other one changes with the certificate.
NOT_COMPARED = (str(Paths().nginx_main), str(Paths().https_listener))
SUDO_PREFIX = "/etc/sudoers.d/"
SSH_SETTINGS = str(Paths().ssh_settings)
JOURNAL = str(Paths().journal_settings)
_TIMERS = (systemd.LOGS_TIMER, systemd.UPDATES_TIMER, systemd.CERTIFICATE_TIMER)
# Timers that run from now on, and with their new times after a change. Each has a link that starts it at a boot.
TIMERS = {str(Paths().units / name): name for name in _TIMERS}
TIMERS[str(Paths().update_slot)] = systemd.UPDATES_TIMER

Run = Callable[[list[str]], object]


class RefusedError(ReleaseError):
    """Nginx, nft or sshd refused its file; nothing was reloaded."""


@dataclass(frozen=True)
class Configuration:
    """Everything on a server besides its releases: contents by absolute path, and link targets by absolute path."""

    files: Mapping[str, str]
    links: Mapping[str, str]


def configure(paths: Paths, configuration: Configuration, run: Run | None = None) -> None:
    """Write the files and links that differ, and reload the services that read them.

    If Nginx, nft or sshd rejects its file, all old files and links are restored and ReleaseError is raised. ``run``
    replaces the execution of commands in tests.
    """
    with exclusive(paths.lock, "`gantry configure`"), phase("configure") as notes:
        ownership.take_over(paths)
        computed = {
            **nginx_limits.computed_files(paths, configuration.files),
            **update_window.computed_files(configuration.files),
            **https_listener.computed_files(paths, configuration.files),
        }
        configuration = Configuration({**configuration.files, **computed}, configuration.links)
        changed = apply(paths, configuration, run)
        own = {path: text for path, text in configuration.files.items() if path not in NOT_COMPARED}
        record = {"files": own, "links": dict(configuration.links)}
        files.write(paths.configuration_record, json.dumps(record).encode(), 0o600)
        notes.append(f"{len(changed)} changed" if changed else "unchanged")
    for path in changed:
        say(f"  {path}")
    if warning := nginx_limits.lack_of_space(paths, configuration.files):
        say(f"  {warning}")


def apply(paths: Paths, configuration: Configuration, run: Run | None = None) -> list[str]:
    """The same for a caller that holds the server's lock. Returns the paths that differed."""
    run = run or commands.run
    # While this file exists, perhaps a service hasn't read its files: the run that wrote them was killed or failed.
    pending = paths.configuration_pending
    changed = _changed(paths.root, configuration)
    before = {name: _content(_below(paths.root, name)) for name in changed}
    _check_rules(paths, configuration, changed, run)
    to_reload = list(configuration.files) if pending.exists() else _with_new_directives(configuration, before)
    if changed or to_reload:
        files.write(pending, b"", 0o600)
        _write(paths.root, configuration)
        # Before Nginx opens logs that are new.
        log_rotation.make_private(paths)
        try:
            # Before the first configuration, there are no visitors whose connections a restart would close.
            is_first = before.get(str(Paths().host_program), "") is None
            _check_files(to_reload, run)
            reloads_nginx = _any_starts(to_reload, NGINX_PREFIXES)
            with nginx_upgrade.lossless_reload(paths) if reloads_nginx else nullcontext():
                _reload(to_reload, run, nginx_verb="restart" if is_first else "reload-or-restart")
        except RefusedError:
            for name, content in before.items():
                _restore(paths.root, name, content)
            raise
        pending.unlink()
        if not is_first and _any_starts(changed, NGINX_UNIT_PREFIXES):
            say("  Nginx gets its new restrictions when it starts the next time")
    return changed


def _check_rules(paths: Paths, configuration: Configuration, changed: Sequence[str], run: Run) -> None:
    """Raises ReleaseError for rules of sudo that can't be read, or that would leave nobody who can log in as root.

    Sudo reads its files at once, so they are checked before they are written.
    """
    for path in changed:
        if path.startswith(SUDO_PREFIX):
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(configuration.files[path])
                file.flush()
                run(["visudo", "-c", "-q", "-f", file.name])
    if str(Paths().deploy_rules) in changed and not paths.login_keys.is_file():
        raise ReleaseError(
            "this server has no login for people yet, so the login for releases isn't restricted and nothing was"
            " changed; run the command `make up` again"
        )


def recorded(paths: Paths) -> Configuration | None:
    """The configuration of the last `gantry configure`; None if an earlier version of this program applied it."""
    try:
        record: dict[str, dict[str, str]] = json.loads(paths.configuration_record.read_bytes())
        return Configuration(record["files"], record["links"])
    except (OSError, ValueError, LookupError):
        return None


def edited(paths: Paths) -> list[str]:
    """The configured paths whose contents, modes or targets somebody has changed since."""
    configuration = recorded(paths)
    return _changed(paths.root, configuration) if configuration else []


def _below(root: Path, name: str) -> Path:
    return root / name.lstrip("/")


def _changed(root: Path, configuration: Configuration) -> list[str]:
    """The paths that differ from the configuration."""
    contents = [
        path for path, text in configuration.files.items() if not _holds(_below(root, path), text, _mode(path, text))
    ]
    links = [link for link, target in configuration.links.items() if not _points(_below(root, link), target)]
    return contents + links


def _holds(path: Path, text: str, mode: int) -> bool:
    return path.is_file() and path.read_bytes() == text.encode() and path.stat().st_mode & 0o777 == mode


def _mode(name: str, text: str) -> int:
    """A script must be executable. Nobody needs to read the rules of sudo."""
    if name.startswith(SUDO_PREFIX):
        return 0o440
    return 0o755 if text.startswith("#!") else 0o644


def _points(link: Path, target: str) -> bool:
    return link.is_symlink() and str(link.readlink()) == target


def _write(root: Path, configuration: Configuration) -> None:
    for path, text in configuration.files.items():
        files.write(_below(root, path), text.encode(), _mode(path, text))
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


def _check_files(changed: Sequence[str], run: Run) -> None:
    """Check the changed files of Nginx, the firewall and sshd. Raises RefusedError if one is refused."""
    try:
        if _any_starts(changed, NGINX_PREFIXES):
            run(["nginx", "-t", "-q"])
        if _any_starts(changed, FIREWALL_PREFIXES):
            run(["nft", "--check", "--file", FIREWALL])
        if SSH_SETTINGS in changed:
            run(["sshd", "-t"])
    except ReleaseError as error:
        raise RefusedError(str(error)) from None


def _reload(changed: Sequence[str], run: Run, *, nginx_verb: str) -> None:
    """Reload the services that read the changed files."""
    if _any_starts(changed, UNIT_PREFIXES):
        run(["systemctl", "daemon-reload"])
    if str(Paths().units / systemd.SWAP_UNIT) in changed:
        _start_swap(run)
    if JOURNAL in changed:
        # It keeps the connections of all services, so no line is lost.
        run(["systemctl", "restart", "systemd-journald"])
    for timer in dict.fromkeys(name for path, name in TIMERS.items() if path in changed):
        run(["systemctl", "restart", timer])
    if _any_starts(changed, FIREWALL_PREFIXES):
        reload_firewall(run)
    if _any_starts(changed, NGINX_PREFIXES):
        run(["systemctl", nginx_verb, "nginx"])
    if SSH_SETTINGS in changed:
        # Open connections stay open.
        run(["systemctl", "reload", "ssh"])
    if _any_starts(changed, FIREWALL_KEEPER):
        run(["systemctl", "restart", systemd.FIREWALL_UNIT])


def _start_swap(run: Run) -> None:
    """Make the swap file. A server that has no room for it serves without."""
    try:
        run(["systemctl", "restart", systemd.SWAP_UNIT])
    except ReleaseError:
        say(f"  no swap file:\n{systemd.journal_lines(f'_SYSTEMD_UNIT={systemd.SWAP_UNIT}', lines=3)}")


def _any_starts(paths: Sequence[str], prefixes: tuple[str, ...]) -> bool:
    return any(path.startswith(prefixes) for path in paths)


def reload_firewall(run: Run | None = None) -> None:
    """Load the firewall's rules in one step. Open connections stay open."""
    (run or commands.run)(["systemctl", "reload-or-restart", "nftables"])


def _content(path: Path) -> bytes | str | None:
    """A file's content, a link's target, or None if the path doesn't exist."""
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else None


def _restore(root: Path, name: str, content: bytes | str | None) -> None:
    path = _below(root, name)
    if content is None:
        path.unlink(missing_ok=True)
    elif isinstance(content, str):
        files.point(path, content)
    else:
        files.write(path, content, _mode(name, content.decode(errors="replace")))
