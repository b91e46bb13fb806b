"""Restarts what still runs with the old code of an updated package. needrestart finds it, and restarts most of it.

Gantry itself restarts Nginx and the app, because no request may fail.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Sequence

from host import commands, nginx_upgrade, state, systemd, web_restart
from host.errors import ReleaseError
from host.paths import Paths

_WEB = re.compile(r"^gantry-(?:web|port)@(.+)\.service$")
# They get the new code at their next start. One of them is this very run.
_SHORT = re.compile(r"^gantry-(cron|build|release|updates)\b")
_PROCESS = re.compile(r"^gantry-process@.+\.service$")


def units() -> list[str]:
    """The services that run with old code until they are restarted, as needrestart finds them.

    None are found until the first update has installed needrestart.
    """
    if shutil.which("needrestart") is None:
        return []
    lines = commands.run(["needrestart", "-b", "-r", "l", "-l"]).stdout.splitlines()
    names = {line.split()[-1] for line in lines if line.startswith("NEEDRESTART-SVC:")}
    return sorted(name for name in names if not _SHORT.match(name))


def restart(paths: Paths, names: Sequence[str]) -> list[str]:
    """Restart the services ``names``; returns those that can't be restarted now.

    The processes of the Procfile finish their job first, and Nginx its connections, in the background. Raises
    ReleaseError after all if some can't be restarted.
    """
    workers = [name for name in names if _PROCESS.match(name)]
    steps: list[Callable[[], object]] = []
    if systemd.NGINX in names:
        steps.append(lambda: nginx_upgrade.upgrade(paths))
    if state.current(paths) in _deployments(names):
        steps.append(lambda: web_restart.restart(paths))
    if workers:
        steps.append(lambda: systemd.require("restart", "--no-block", *workers))
    if not all(re.match(systemd.OWN_UNITS, name) for name in names):
        # It doesn't restart what would end sessions or cut the network, such as dbus.
        steps.append(lambda: commands.run(["needrestart", "-q", "-r", "a", "-l"]))
    failures = list[str]()
    for step in steps:
        try:
            step()
        except (ReleaseError, OSError) as error:
            failures.append(str(error))
    if failures:
        raise ReleaseError("\n".join(failures))
    finishing = {*workers, *([systemd.NGINX] if nginx_upgrade.is_finishing() else [])}
    return [name for name in units() if name not in finishing]


def _deployments(names: Iterable[str]) -> set[str]:
    return {match[1] for name in names if (match := _WEB.match(name))}
