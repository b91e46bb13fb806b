"""A release on one server, from the tarball to the switch.

Anything that fails before the switch leaves the old release untouched, anything after it switches back: the old one
runs until the new one was watched for a while. Each step is repeatable, so that a run that was killed at any point
needs no repair: the next one does what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from host import environment, files, health, history, processes, prune, reserve, watch, web
from host.console import phase, say
from host.errors import ReleaseError
from host.lock import exclusive
from host.paths import Paths
from host.unpack import require_space, unpack


@dataclass(frozen=True)
class Request:
    """What the server should serve, for how many seconds it is watched, and who asks for it."""

    instance: web.Instance
    health: health.Health
    watch: float = 0.0
    by: str | None = None
    revision: str | None = None
    processes: processes.Plan = field(default_factory=processes.Plan)

    def entry(self) -> history.Entry:
        login, address = history.source()
        return history.Entry(self.instance.release, self.instance.name, self.by or login, address, self.revision)


def release(paths: Paths, request: Request) -> None:
    """Make ``request.instance`` the one that serves; raises ReleaseError when the old one still does."""
    name = request.instance.name
    holder = f"a release of {request.instance.release}"
    reserve.spend(paths)
    with exclusive(paths.lock, holder), history.recorded(paths, request.entry()) as entry:
        already = _serves(paths, request)
        if not already:
            _replace(paths, request, entry)
        elif _named(paths.proven) != name:
            # A run that was killed during its watch has left the one from before running.
            _switch(paths, request, entry)
        else:
            processes.start(paths, request.instance, request.processes)
        processes.retire(paths)
        # Not just the previous one: a run that was killed may have left another behind.
        for other in set(web.running()) - {name}:
            web.retire(other)
        with phase("prune", entry.phases) as notes:
            notes.append(prune.prune(paths, name))
        reserve.keep(paths)
        entry.result = "unchanged" if already else "serving"
    say(f"release {request.instance.release} is serving{' already' if already else ''}")


def current(paths: Paths) -> str | None:
    """The instance that serves, or None before the first release."""
    return _named(paths.current)


def resume(paths: Paths) -> None:
    """Start what served before the machine was shut down, or, where that was still being watched, what was before."""
    name = _named(paths.proven) or current(paths)
    if name is None:
        say("no release yet")
        return
    # A shutdown may have come between the two links; this one is what Nginx follows.
    files.point(paths.socket, paths.instance_socket(name))
    if name != current(paths):
        files.point(paths.current, paths.instances / name)
    processes.resume(paths)
    web.start(name)
    say(f"release {web.release_of(name)} is serving")


def _named(link: Path) -> str | None:
    return link.readlink().name if link.is_symlink() else None


def _serves(paths: Paths, request: Request) -> bool:
    """Whether it serves already; a run that was killed just before it had asked doesn't count."""
    name = request.instance.name
    linked = paths.socket.is_symlink() and paths.socket.readlink() == paths.instance_socket(name)
    if not (linked and current(paths) == name and web.is_active(name)):
        return False
    return request.health.good(health.answer(request.health, request.health.timeout))


def _replace(paths: Paths, request: Request, entry: history.Entry) -> None:
    instance, times = request.instance, entry.phases
    with phase("space", times):
        require_space(paths, instance.release)
    try:
        with phase("unpack", times) as notes:
            notes.append(unpack(paths, instance.release))
        with phase("environment", times) as notes:
            venv, done = environment.environment(paths, paths.releases / instance.release)
            notes.append(done)
        processes.prepare(paths, instance, venv, request.processes)
        _start(paths, request, venv, times)
    except BaseException:
        _take_away(paths, instance.name)
        raise
    _switch(paths, request, entry)


def _start(paths: Paths, request: Request, venv: Path, times: dict[str, float]) -> None:
    with phase("start", times):
        web.prepare(paths, request.instance, venv)
        web.start(request.instance.name)
    with phase("check", times) as notes:
        socket = paths.instance_socket(request.instance.name)
        with _last_words(request.instance.name):
            notes.append(health.check_socket(socket, request.health))


def _switch(paths: Paths, request: Request, entry: history.Entry) -> None:
    """Let it serve and watch it; when it is bad, what served before serves again."""
    name, times = request.instance.name, entry.phases
    previous = _previous(paths, name)
    try:
        with phase("switch", times):
            _serve(paths, name)
            # Until then a visitor, and the question below, may still get to the old one by a kept connection.
            time.sleep(watch.MOVED_SECONDS)
        with phase("verify", times) as notes, _last_words(name):
            notes.append(health.check_nginx(request.health))
        if request.watch:
            with phase("watch", times) as notes, _last_words(name):
                notes.append(watch.watch(name, request.health, request.watch, paths.requests))
        processes.start(paths, request.instance, request.processes)
        files.point(paths.proven, paths.instances / name)
    except BaseException as error:
        entry.result = _go_back(paths, name, previous)
        if isinstance(error, ReleaseError):
            raise ReleaseError(f"{error}\n{_OUTCOMES[entry.result]}") from None
        raise


_OUTCOMES = {
    "reverted": "what served before serves again",
    "failed": "there is no earlier release to go back to: visitors get 503 with Retry-After",
    "stuck": "what served before doesn't start any more: the new release still serves",
}


@contextmanager
def _last_words(instance: str) -> Generator[None]:
    """Adds the end of the app's journal to what is said of it."""
    try:
        yield
    except ReleaseError as error:
        raise ReleaseError(f"{error}\n{web.journal(instance)}".rstrip()) from None


def _serve(paths: Paths, instance: str) -> None:
    """Two links: traffic moves with the first; the second is what a reboot starts."""
    files.point(paths.socket, paths.instance_socket(instance))
    files.point(paths.current, paths.instances / instance)


def _previous(paths: Paths, name: str) -> str | None:
    """What to go back to from ``name``: the last that was watched to the end; None before there is one."""
    proven = _named(paths.proven)
    if proven and (paths.instances / proven).is_dir():
        return proven
    serving = current(paths)
    return serving if serving != name else None


def _go_back(paths: Paths, bad: str, previous: str | None) -> str:
    """Let ``previous`` serve again and take ``bad`` away; says how it went, see _OUTCOMES."""
    if previous is None:
        paths.socket.unlink(missing_ok=True)
        paths.current.unlink(missing_ok=True)
    else:
        try:
            web.start(previous)  # it runs, unless it ended by itself or the machine was started again
        except ReleaseError:
            return "stuck"
        _serve(paths, previous)
    if bad != previous:
        processes.discard(paths, bad)
        web.dismiss(paths, bad)
        _forget(paths, bad)
    return "reverted" if previous else "failed"


def _take_away(paths: Paths, failed: str) -> None:
    """Take an instance away that never served; a release over a stopped self has."""
    if failed in (current(paths), _named(paths.proven)):
        return
    processes.discard(paths, failed)
    web.discard(paths, failed)
    _forget(paths, failed)


def _forget(paths: Paths, instance: str) -> None:
    """Its release isn't to be among the five that are kept, unless it serves with other variables."""
    release = web.release_of(instance)
    others = {web.release_of(name) for name in (current(paths), _named(paths.proven)) if name}
    # With its upload still here, nothing is lost.
    if release not in others and (paths.incoming / f"{release}.tar").exists() and (paths.releases / release).exists():
        files.remove_tree(paths.releases / release)
