"""Nginx: whether it runs and could start again, and if not, why. A release uses this, too, before it blames the app."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress

from host import ports, systemd
from host.errors import ReleaseError
from host.layers import listeners
from host.layers.finding import Finding
from host.layers.firewall import restore_files
from host.paths import Paths
from host.waiting import wait_until

LAYER = "Nginx"
PORT = 80
# systemd starts a killed Nginx after 0.2 to 0.8 s. One that doesn't start in this time needs a repair.
RESTART_SECONDS = 3.0
# After a repair, an Nginx that is told to start needs less.
REPAIR_SECONDS = 10.0
_CONNECT_SECONDS = 0.3
# How Nginx begins a line: level, and process.
_PREFIX = re.compile(r"^.*\[emerg\] (?:\d+#\d+: )?")


class NginxError(ReleaseError):
    """Nginx doesn't run, and the error says why. The app isn't the cause."""


def finding(paths: Paths) -> Finding:
    """Look at the unit, at the configuration on the disk, and at the port."""
    unit = systemd.show(systemd.NGINX, "LoadState", "ActiveState", "UnitFileState")
    if unit["LoadState"] == "masked" or unit["UnitFileState"] in ("masked", "masked-runtime"):
        return _broken(
            f"{systemd.NGINX} is masked", "sudo systemctl unmask nginx && sudo systemctl start nginx", _start
        )
    if unit["LoadState"] != "loaded":
        return _broken("Nginx isn't installed", "sudo apt-get install nginx")
    if mistake := _mistake():
        effect = "runs with its earlier one until its next start" if unit["ActiveState"] == "active" else "can't start"
        return _broken(
            f"its configuration is wrong, and it {effect}: {mistake}",
            "correct the file; `sudo gantry check --repair` restores Gantry's own files. Then: sudo nginx -t",
            lambda: restore(paths),
        )
    listening = listeners.on(PORT)
    others = [listener for listener in listening if listener.unit != systemd.NGINX]
    if unit["ActiveState"] != "active" and others:
        return _broken(f"{others[0]} listens on port {PORT}, so Nginx can't start", _removal(others[0]))
    if unit["ActiveState"] != "active":
        return _broken(f"{systemd.NGINX} is {unit['ActiveState']}", "sudo systemctl start nginx", _start)
    if unit["UnitFileState"] == "disabled":
        return _broken(f"{systemd.NGINX} is disabled: it won't start at a boot", "sudo systemctl enable nginx", _start)
    if not accepts(PORT):
        if len(listening) > len(others):
            return _broken(
                f"it listens on port {PORT}, but a firewall drops or rejects the packets, even the server's own",
                "see: sudo nft list ruleset. This removes rules that aren't Gantry's: sudo systemctl reload nftables",
            )
        return _broken(
            f"it runs, but {', '.join(map(str, others)) or 'nothing'} listens on port {PORT}",
            "sudo gantry check --repair; see also: sudo journalctl --unit nginx",
            None if others else lambda: restore(paths, restart=True),
        )
    return Finding(layer=LAYER)


def ensure(paths: Paths) -> None:
    """Return when Nginx accepts connections: wait for one that systemd restarts, and start one that was stopped.

    Raises NginxError that says why it doesn't run.
    """
    if wait_until(lambda: accepts(ports.CANDIDATE_PORT), RESTART_SECONDS, unless=_is_stopped):
        return
    found = finding(paths)
    if found.repair:
        with suppress(ReleaseError):
            found.repair()
        if wait_until(lambda: accepts(ports.CANDIDATE_PORT), REPAIR_SECONDS):
            return
        found = finding(paths)
    why = found.problem or f"it doesn't listen on port {ports.CANDIDATE_PORT}"
    raise NginxError(
        f"Nginx doesn't serve this site: {why}",
        found.remedy and f"This isn't the app's fault. On the server: {found.remedy}",
    )


def accepts(port: int) -> bool:
    """Whether something accepts connections to this port of the server."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _is_stopped() -> bool:
    """Whether systemd doesn't intend to start Nginx again."""
    return systemd.show(systemd.NGINX, "ActiveState").get("ActiveState") in systemd.STOPPED


def _broken(problem: str, remedy: str, repair: Callable[[], None] | None = None) -> Finding:
    return Finding(layer=LAYER, problem=problem, remedy=remedy, repair=repair)


def _mistake() -> str:
    """The first error in the configuration on the disk, without Nginx's prefix; empty if there is none."""
    result = subprocess.run(["nginx", "-t", "-q"], capture_output=True, text=True)
    if result.returncode == 0:
        return ""
    lines = [line for line in result.stderr.splitlines() if "[emerg]" in line] or result.stderr.splitlines()
    return _PREFIX.sub("", lines[0]) if lines else "nginx -t fails"


def _removal(listener: listeners.Listener) -> str:
    if listener.unit:
        return f"sudo systemctl disable --now {listener.unit}"
    return f"sudo kill {listener.process}"


def _start() -> None:
    """Start Nginx, and let it start at each boot."""
    systemd.systemctl("unmask", "--runtime", systemd.NGINX)
    for verb in ("unmask", "enable", "start"):
        systemd.require(verb, systemd.NGINX)


def restore(paths: Paths, *, restart: bool = False) -> None:
    """Restore Gantry's own files and start Nginx. Raises ReleaseError if it can't start with them."""
    restore_files(paths)
    if mistake := _mistake():
        raise ReleaseError(f"the mistake isn't in a file of Gantry's: {mistake}")
    if restart:
        systemd.systemctl("restart", systemd.NGINX)
    _start()
