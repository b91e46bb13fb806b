"""A release on one server, from the tarball to the switch.

Anything that fails before the switch leaves the old release untouched, anything after it switches back. Each step is
repeatable, so that a run that was killed at any point needs no repair: the next one does what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from host import environment, files, health, processes, prune, reserve, web
from host.console import phase, say
from host.errors import ReleaseError
from host.lock import exclusive
from host.paths import Paths
from host.unpack import unpack


@dataclass(frozen=True)
class Request:
    """What the server should serve."""

    instance: web.Instance
    health: health.Health
    processes: processes.Plan = field(default_factory=processes.Plan)


def release(paths: Paths, request: Request) -> None:
    """Make ``request.instance`` the one that serves; raises ReleaseError when the old one still does."""
    instance = request.instance
    reserve.spend(paths)
    with exclusive(paths.lock, f"a release of {instance.release}"):
        already = _serves(paths, request)
        if already:
            processes.start(paths, instance, request.processes)
        else:
            _replace(paths, request)
        processes.retire(paths)
        # Not just the previous one: a run that was killed may have left another behind.
        for other in set(web.running()) - {instance.name}:
            web.retire(other)
        with phase("prune") as notes:
            notes.append(prune.prune(paths, instance.name))
        reserve.keep(paths)
    say(f"release {instance.release} is serving{' already' if already else ''}")


def current(paths: Paths) -> str | None:
    """The instance that serves, or None before the first release."""
    return paths.current.readlink().name if paths.current.is_symlink() else None


def resume(paths: Paths) -> None:
    """Start what served before the machine was shut down."""
    name = current(paths)
    if name is None:
        say("no release yet")
        return
    # A shutdown may have come between the two links; this one is what Nginx follows.
    files.point(paths.socket, paths.instance_socket(name))
    processes.resume(paths)
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
        processes.prepare(paths, instance, venv, request.processes)
        _start(paths, request, venv)
        _switch(paths, request, previous)
        _start_processes(paths, request, previous)
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
        _serve(paths, request.instance.name)
    with phase("verify") as notes:
        try:
            notes.append(health.check_nginx(request.health))
        except BaseException:
            if previous:
                _serve(paths, previous)
            raise


def _start_processes(paths: Paths, request: Request, previous: str | None) -> None:
    try:
        processes.start(paths, request.instance, request.processes)
    except BaseException:
        if previous:
            _serve(paths, previous)
        raise


def _serve(paths: Paths, instance: str) -> None:
    """Two links: traffic moves with the first; the second is what a reboot starts."""
    files.point(paths.socket, paths.instance_socket(instance))
    files.point(paths.current, paths.instances / instance)


def _keep(paths: Paths, failed: str, previous: str | None) -> None:
    """Take a failed instance away, unless it is the one that serves (a release over a stopped self)."""
    if failed == previous:
        return
    if previous is None:
        paths.socket.unlink(missing_ok=True)
        paths.current.unlink(missing_ok=True)
    processes.discard(paths, failed)
    web.discard(paths, failed)
    # Not among the five that are kept: it never served. With its upload still here, nothing is lost.
    release = web.release_of(failed)
    serves = previous is not None and web.release_of(previous) == release
    if not serves and (paths.incoming / f"{release}.tar").exists() and (paths.releases / release).exists():
        files.remove_tree(paths.releases / release)
