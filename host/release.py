"""A release on one server, from the tarball to the switch.

Anything that fails before the switch leaves the old release untouched, anything after it switches back: the old one
runs until the new one was watched for a while. Each step is repeatable, so that a run that was killed at any point
needs no repair: the next one does what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from host import environment, files, fleet, health, history, lock, processes, prune, reserve, serving, watch, web
from host.console import phase, say
from host.errors import ReleaseError
from host.install import install
from host.paths import Paths
from host.unpack import require_space

# Enough to see that it doesn't answer, ends, or fails its visitors at once: the world may have changed, it hasn't.
PROVEN_WATCH_SECONDS = 2.0
RESUME_WAITS_SECONDS = 900.0


@dataclass(frozen=True)
class Request:
    """What the server should serve, for how many seconds it is watched, and who asks for it."""

    instance: web.Instance
    health: health.Health
    watch: float = 0.0
    # Seconds after which the server goes back by itself unless the release is confirmed; 0 confirms it at once.
    probation: float = 0.0
    # What it was made from, for the history.
    revision: str | None = None
    processes: processes.Plan = field(default_factory=processes.Plan)
    # Seconds for another release that goes on here.
    wait: float = lock.WAIT_SECONDS

    def entry(self) -> history.Entry:
        login, address = history.source()
        return history.Entry(self.instance.release, self.instance.name, login, address, self.revision)


def release(paths: Paths, request: Request) -> None:
    """Make ``request.instance`` the one that serves; raises ReleaseError when the old one still does."""
    name = request.instance.name
    with _turn(paths, request) as entry:
        request = replace(request, watch=_watch_seconds(paths, request))
        already, untried = _serves(paths, request), serving.proven(paths) != name
        if not already:
            _bring_up(paths, request, entry)
        fleet.begin(paths, request.probation)
        if already and fleet.passed(paths, name):
            processes.start(paths, request.instance, request.processes)
            fleet.settle(paths, name, request.probation)
        else:
            # Of a run that was killed during its watch, the rest is made up for.
            _switch(paths, request, entry)
        with phase("retire", entry.phases) as notes:
            processes.retire(paths)
            # Not just the previous one: a run that was killed may have left another behind.
            notes.append(f"{fleet.retire_others(paths)} finishing requests")
        with phase("prune", entry.phases) as notes:
            notes.append(prune.prune(paths, name))
        if name != serving.proven(paths):
            entry.result = "on probation"
        else:
            entry.result = "unchanged" if already and not untried else "serving"
        if request.probation:
            say(f"goes back by itself at {history.precisely(time.time() + request.probation)} unless it is confirmed")
    say(f"release {request.instance.release} is serving{' already' if already else ''}")


@contextmanager
def _turn(paths: Paths, request: Request) -> Generator[history.Entry]:
    """Nobody else changes the server meanwhile, and how it ends is written down."""
    times: dict[str, float] = {}
    with ExitStack() as held:
        with phase("lock", times):
            held.enter_context(lock.exclusive(paths.lock, f"a release of {request.instance.release}", request.wait))
        held.enter_context(reserve.lent(paths))
        with history.recorded(paths, request.entry()) as entry:
            entry.phases.update(times)
            yield entry


def resume(paths: Paths) -> None:
    """Start what served before the machine was shut down, or, where that was still being tried, what was before."""
    # A release may have come sooner.
    turn = lock.exclusive(paths.lock, "the start of the machine", RESUME_WAITS_SECONDS)
    with turn, reserve.lent(paths):
        proven = serving.proven(paths)
        name = proven or serving.current(paths)
        if name is None or (proven is None and paths.probation.exists()):
            _resume_nothing(paths)
            return
        # A shutdown may have come between the two links; this one is what Nginx follows.
        files.point(paths.socket, paths.instance_socket(name))
        if name != serving.current(paths):
            files.point(paths.current, paths.instances / name)
        # A shutdown ends a probation: its timer is gone.
        fleet.disarm(paths)
        processes.go_back(paths)
        web.start(name)
    say(f"release {web.release_of(name)} is serving")


def _resume_nothing(paths: Paths) -> None:
    """Before the first release, or where the first was still being tried together with other servers."""
    serving.serve_nothing(paths)
    fleet.disarm(paths)
    processes.go_back(paths)
    say("no release yet")


def _serves(paths: Paths, request: Request) -> bool:
    """Whether it serves already; a run that was killed just before it had asked doesn't count."""
    name = request.instance.name
    linked = paths.socket.is_symlink() and paths.socket.readlink() == paths.instance_socket(name)
    if not (linked and serving.current(paths) == name and web.is_active(name)):
        return False
    return request.health.good(health.answer(request.health, request.health.timeout))


def _watch_seconds(paths: Paths, request: Request) -> float:
    """Less for one that is gone back to: the same code, packages and variables have stood their watch here before."""
    folder = paths.releases / request.instance.release
    kept = folder.is_dir() and environment.is_built(paths, folder)
    if request.watch <= PROVEN_WATCH_SECONDS or not kept:
        return request.watch
    return PROVEN_WATCH_SECONDS if history.stood(paths, request.instance.name, request.watch) else request.watch


def _bring_up(paths: Paths, request: Request, entry: history.Entry) -> None:
    """All that comes before the switch: afterwards it runs and answers, and no visitor has met it."""
    instance, times = request.instance, entry.phases
    with phase("space", times):
        require_space(paths, instance.release)
    try:
        venv = install(paths, instance.release, times)
        processes.prepare(paths, instance, venv, request.processes)
        _start(paths, request, venv, times)
    except BaseException as error:
        previous = _previous(paths, instance.name)
        if serving.current(paths) != instance.name or previous in (None, instance.name):
            _take_away(paths, instance.name)
            raise
        # A run that was killed during its watch has left it serving.
        _back_to(paths, instance.name, previous, entry, error)


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
            served = serving.current(paths)
            serving.serve(paths, name)
            if served:
                # Until then a visitor, and the question below, may still get to the old one by a kept connection.
                time.sleep(watch.MOVED_SECONDS)
        with phase("verify", times) as notes, _last_words(name):
            notes.append(health.check_nginx(request.health))
        if request.watch:
            with phase("watch", times) as notes, _last_words(name):
                seen = watch.watch(name, request.health, request.watch, paths.requests, serving.switched(paths))
                notes.append(seen)
                notes.append(f"{request.watch:g} s")
            entry.watched = request.watch
        processes.start(paths, request.instance, request.processes)
        fleet.settle(paths, name, request.probation)
    except BaseException as error:
        _back_to(paths, name, previous, entry, error)


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


def _previous(paths: Paths, name: str) -> str | None:
    """What to go back to from ``name``: the last that was watched to the end; None before there is one."""
    proven = serving.proven(paths)
    if proven and (paths.instances / proven).is_dir():
        return proven
    current = serving.current(paths)
    return current if current != name else None


def _back_to(paths: Paths, bad: str, previous: str | None, entry: history.Entry, error: BaseException) -> NoReturn:
    """Go back, and raise ``error`` with what came of that."""
    entry.result = _go_back(paths, bad, previous)
    if isinstance(error, ReleaseError):
        raise ReleaseError(f"{error}\n{_OUTCOMES[entry.result]}") from None
    raise error


def _go_back(paths: Paths, bad: str, previous: str | None) -> str:
    """Let ``previous`` serve again and take ``bad`` away; says how it went, see _OUTCOMES."""
    if previous is None:
        serving.serve_nothing(paths)
    else:
        try:
            web.start(previous)  # it runs, unless it ended by itself or the machine was started again
        except ReleaseError:
            return "stuck"
        serving.serve(paths, previous)
    processes.go_back(paths)
    if bad != previous:
        processes.discard(paths, bad)
        web.dismiss(paths, bad)
        _forget(paths, bad)
    return "reverted" if previous else "failed"


def _take_away(paths: Paths, failed: str) -> None:
    """Take an instance away that never served; a release over a stopped self has."""
    if failed in serving.needed(paths):
        return
    processes.discard(paths, failed)
    web.discard(paths, failed)
    _forget(paths, failed)


def _forget(paths: Paths, instance: str) -> None:
    """Its release isn't to be among the five that are kept, unless it serves with other variables."""
    release = web.release_of(instance)
    others = {web.release_of(name) for name in serving.needed(paths)}
    # With its upload still here, nothing is lost.
    if release not in others and (paths.incoming / f"{release}.tar").exists() and (paths.releases / release).exists():
        files.remove_tree(paths.releases / release)
