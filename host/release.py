"""A release on one server, from the tarball to the switch.

Anything that fails before the switch leaves the old release untouched, anything after it switches back. Each step is
repeatable, so that a run that was killed at any point needs no repair: the next one does what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from host import environment, files, fleet, health, prune, web
from host.console import phase, say
from host.errors import ReleaseError
from host.lock import exclusive
from host.paths import Paths
from host.serving import current, serve
from host.unpack import unpack


@dataclass(frozen=True)
class Request:
    """What the server should serve."""

    instance: web.Instance
    health: health.Health
    # Seconds after which the server goes back by itself unless the release is confirmed; 0 confirms it at once.
    probation: int = 0


def release(paths: Paths, request: Request) -> None:
    """Make ``request.instance`` the one that serves; raises ReleaseError when the old one still does."""
    instance = request.instance
    with exclusive(paths.lock, f"a release of {instance.release}"):
        already = _serves(paths, request)
        if not already:
            fleet.before_switch(paths, request.probation)
            _replace(paths, request)
        # Not just the previous one: a run that was killed may have left another behind.
        fleet.after_switch(paths, instance.name, request.probation)
        for other in set(web.running()) - {instance.name, *fleet.standby(paths)}:
            web.retire(other)
        with phase("prune") as notes:
            notes.append(prune.prune(paths, instance.name))
    say(f"release {instance.release} is serving{' already' if already else ''}")


def resume(paths: Paths) -> None:
    """Start what served before the machine was shut down."""
    if fleet.standby(paths):
        # The timer that would have ended the probation is gone.
        fleet.revert(paths)
        return
    name = current(paths)
    if name is None:
        say("no release yet")
        return
    # A shutdown may have come between the two links; this one is what Nginx follows.
    files.point(paths.socket, paths.instance_socket(name))
    web.start(name)
    say(f"release {web.release_of(name)} is serving")


def _serves(paths: Paths, request: Request) -> bool:
    """Whether it serves already; a run that was killed just before it had asked doesn't count."""
    name = request.instance.name
    linked = paths.socket.is_symlink() and paths.socket.readlink() == paths.instance_socket(name)
    if not (linked and current(paths) == name and web.is_active(name)):
        return False
    return health.answers(request.health)


def _replace(paths: Paths, request: Request) -> None:
    instance, previous = request.instance, current(paths)
    try:
        with phase("unpack") as notes:
            notes.append(unpack(paths, instance.release))
        with phase("environment") as notes:
            venv, done = environment.environment(paths, paths.releases / instance.release)
            notes.append(done)
        _start(paths, request, venv)
        _switch(paths, request, previous)
    except BaseException:
        _keep(paths, instance.name, previous)
        raise


def _start(paths: Paths, request: Request, venv: Path) -> None:
    with phase("start"):
        web.prepare(paths, request.instance, venv)
        web.start(request.instance.name)
    with phase("check") as notes:
        socket = paths.instance_socket(request.instance.name)
        try:
            notes.append(health.check_socket(socket, request.health))
        except ReleaseError as error:
            raise ReleaseError(f"{error}\n{web.journal(request.instance.name)}") from None


def _switch(paths: Paths, request: Request, previous: str | None) -> None:
    with phase("switch"):
        serve(paths, request.instance.name)
    with phase("verify") as notes:
        try:
            notes.append(health.check_nginx(request.health))
        except BaseException:
            if previous:
                serve(paths, previous)
            raise


def _keep(paths: Paths, failed: str, previous: str | None) -> None:
    """Take a failed instance away, unless it is one to go back to (a release over a stopped self, say)."""
    if failed == previous or failed in fleet.standby(paths):
        return
    if previous is None:
        paths.socket.unlink(missing_ok=True)
        paths.current.unlink(missing_ok=True)
    web.discard(paths, failed)
    # Not among the five that are kept: it never served. With its upload still here, nothing is lost.
    release = web.release_of(failed)
    serves = previous is not None and web.release_of(previous) == release
    if not serves and (paths.incoming / f"{release}.tar").exists() and (paths.releases / release).exists():
        files.remove_tree(paths.releases / release)
