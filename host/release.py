"""A release on one server: install, start, check, switch, watch, roll back.

A failure before the switch leaves the old deployment untouched. A failure after the switch rolls back. For that, the
old deployment runs until the new one has passed its watch. With several servers, it runs until the rollout confirms the
release. Every step can be repeated. So a run that was killed needs no repair: the next run does the missing steps.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import NoReturn

from host import (
    change,
    deployment,
    explain,
    failed_release,
    health,
    health_advice,
    history,
    lock,
    outcomes,
    probation,
    processes,
    prune,
    state,
    times,
    volume,
    volume_removal,
    watch,
    web_hints,
)
from host.console import Phases, phase, say
from host.deployment import Deployment, Folders
from host.errors import ReleaseError
from host.health_check import HealthCheck
from host.install import install_and_build
from host.layers import nginx
from host.packages import system_packages
from host.packages.venv import is_built
from host.paths import Paths
from host.unpack import require_space

# The watch of a deployment that has passed its full watch on this server before. It is enough to see that the app
# doesn't answer, ends, or fails every request. Slower faults are unlikely.
REPEATED_WATCH_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class ReleaseOptions:
    """The deployment that a server should serve, and the limits of its checks."""

    deployment: Deployment
    health_check: HealthCheck
    # Seconds after the switch in which an unhealthy release is rolled back.
    watch: float = 0.0
    # Seconds after which the server rolls back unless the release is confirmed; 0 confirms it at once.
    probation: float = 0.0
    # The git revision that the history shows, or None.
    revision: str | None = None
    processes: processes.Plan = field(default_factory=processes.Plan)
    # Whether the app's data is on a volume, and if not, whether a volume that the server has may be given up.
    volume: bool = False
    gives_volume_up: bool = False
    # Seconds to wait for another release in progress on this server.
    wait: float = lock.WAIT_SECONDS


def release(paths: Paths, options: ReleaseOptions) -> None:
    """Make ``options.deployment`` serve. Raises ReleaseError if the release fails.

    If it fails after the switch, the error says which release serves now.
    """
    name = options.deployment.name
    with _locked_and_recorded(paths, options) as entry:
        options = replace(options, watch=_watch_seconds(paths, options))
        if options.volume:
            volume.require(paths)
        with _without_volume(paths, options, entry) as leaves_volume:
            already_serves, was_proven = _make_serve(paths, options, entry, must_start=leaves_volume)
        _clean_up(paths, name, entry)
        if name != state.proven(paths):
            entry.result = "on probation"
        else:
            entry.result = "unchanged" if already_serves and was_proven else "serving"
        if options.probation:
            until = history.utc_microseconds(time.time() + options.probation)
            say(f"this server rolls back at {until} unless the release is confirmed before")
    say(f"release {options.deployment.release} is serving{' already' if already_serves else ''}")


def _make_serve(paths: Paths, options: ReleaseOptions, entry: history.Entry, *, must_start: bool) -> tuple[bool, bool]:
    """Do all steps that visitors notice. Returns whether the deployment served already, and whether it was proven."""
    name = options.deployment.name
    already_serves, was_proven = not must_start and _serves(paths, options), state.proven(paths) == name
    if already_serves:
        # The setting aptPackages may have changed.
        system_packages.ensure(paths, paths.releases / options.deployment.release, entry.phases)
    else:
        _install_and_start(paths, options, entry)
    probation.begin(paths, options.probation)
    if already_serves and probation.passed(paths, name):
        processes.start(paths, options.deployment, options.processes, entry.phases)
        probation.settle(paths, name, options.probation, entry.phases)
    else:
        # A deployment that serves already is switched to again if it hasn't passed its watch: the run that
        # switched to it was killed.
        _switch_and_watch(paths, options, entry)
    return already_serves, was_proven


@contextmanager
def _without_volume(paths: Paths, options: ReleaseOptions, entry: history.Entry) -> Generator[bool]:
    """Gives up the volume of a server that shall have none. Yields whether it had one. If the block fails, it is back.

    The long steps come before that, while the old release serves. The release phase comes after it: it may make a
    database in the folder that is empty then.
    """
    if options.volume or not volume_removal.is_due(paths, agreed=options.gives_volume_up):
        yield False
        return
    try:
        with phase("space", entry.phases):
            require_space(paths, options.deployment.release)
        install_and_build(paths, options.deployment, entry.phases, with_data=False)
        with volume_removal.given_up(paths):
            yield True
    except BaseException as error:
        failed_release.remove(paths, options.deployment.name)
        if isinstance(error, ReleaseError):
            error.outcome = _still_serving(paths)
        raise


@contextmanager
def _locked_and_recorded(paths: Paths, options: ReleaseOptions) -> Generator[history.Entry]:
    """Hold the server's lock during the block. The block fills in the yielded entry, which is then in the history."""
    name, seconds = options.deployment.release, Phases()
    with ExitStack() as stack:
        stack.enter_context(change.exclusive(paths, f"a release of {name}", seconds, options.wait))
        entry = history.new_entry(name, options.deployment.name, options.revision)
        entry.phases.update(seconds)
        stack.enter_context(history.recording(paths, entry, options.deployment.variables))
        yield entry


def _serves(paths: Paths, options: ReleaseOptions) -> bool:
    """Whether the deployment serves already and is healthy."""
    name, check = options.deployment.name, options.health_check
    # Check both links: they differ if a run was killed between changing the first and the second.
    linked = paths.socket.is_symlink() and paths.socket.readlink() == paths.deployment_socket(name)
    if not (linked and state.current(paths) == name and deployment.is_active(name)):
        return False
    return check.is_healthy(health.site_answer(check, check.timeout))


def _watch_seconds(paths: Paths, options: ReleaseOptions) -> float:
    """The seconds to watch. They are fewer if the deployment passed this watch before and its packages are still
    installed.
    """
    folder = paths.releases / options.deployment.release
    is_installed = folder.is_dir() and is_built(paths, folder)
    if options.watch <= REPEATED_WATCH_SECONDS or not is_installed:
        return options.watch
    passed = history.passed_watch(paths, options.deployment.name, options.watch)
    return REPEATED_WATCH_SECONDS if passed else options.watch


def _install_and_start(paths: Paths, options: ReleaseOptions, entry: history.Entry) -> None:
    """Does everything before the switch. Afterwards the deployment runs and is healthy, but gets no traffic yet."""
    name = options.deployment.name
    with phase("space", entry.phases):
        require_space(paths, options.deployment.release)
    try:
        folders = install_and_build(paths, options.deployment, entry.phases)
        processes.prepare(paths, options.deployment, folders=folders, plan=options.processes, seconds=entry.phases)
        _start(paths, options, folders=folders, seconds=entry.phases)
    except BaseException as error:
        previous = _previous(paths, name)
        if state.current(paths) != name or previous in (None, name):
            failed_release.remove(paths, name)
            if isinstance(error, ReleaseError):
                error.outcome = _still_serving(paths)
            raise
        # The failed deployment serves: an earlier run switched to it and was killed during the watch.
        _roll_back_and_raise(paths, name, previous=previous, entry=entry, error=error)


def _start(paths: Paths, options: ReleaseOptions, *, folders: Folders, seconds: Phases) -> None:
    name = options.deployment.name
    with phase("start", seconds):
        deployment.write_files(paths, options.deployment, folders)
        deployment.start(name)
    with phase("check", seconds) as notes, _with_journal(name):
        answer = health.check_socket(paths.deployment_socket(name), options.health_check)
        nginx.ensure(paths)
        health.check_candidate(paths, name, options.health_check)
        notes.append(str(answer))
    if remark := health_advice.remark(options.health_check, answer):
        say(f"  {remark}")
    for hint in web_hints.hints(paths, name, options.health_check):
        say(f"  {hint}")


def _switch_and_watch(paths: Paths, options: ReleaseOptions, entry: history.Entry) -> None:
    """Move the traffic to the deployment and watch it; if it is unhealthy, roll back and raise ReleaseError."""
    name = options.deployment.name
    previous = _previous(paths, name)
    try:
        with phase("switch", entry.phases):
            served_before = state.current(paths)
            state.serve(paths, name)
            if served_before:
                # For this long, a connection that Nginx keeps open may carry a request to the old deployment. The next
                # check must not be such a request.
                time.sleep(times.MOVED_SECONDS)
        crash_reasons = watch.crashes_named(paths.crash_record(name), state.switched_at(paths))
        with phase("verify", entry.phases) as notes, _with_journal(name), crash_reasons:
            notes.append(str(health.check_nginx(options.health_check)))
        if options.watch:
            with phase("watch", entry.phases) as notes, _with_journal(name):
                notes.append(watch.watch(_watch_options(paths, options, previous)))
                notes.append(f"{options.watch:g} s")
            entry.watched = options.watch
        processes.start(paths, options.deployment, options.processes, entry.phases)
        probation.settle(paths, name, options.probation)
    except BaseException as error:
        _roll_back_and_raise(paths, name, previous=previous, entry=entry, error=error)


def _watch_options(paths: Paths, options: ReleaseOptions, previous: str | None) -> watch.WatchOptions:
    return watch.WatchOptions(
        deployment=options.deployment.name,
        health_check=options.health_check,
        seconds=options.watch,
        log=paths.access_log,
        switched_at=state.switched_at(paths),
        record=paths.crash_record(options.deployment.name),
        previous_record=paths.crash_record(previous) if previous else None,
    )


def _clean_up(paths: Paths, name: str, entry: history.Entry) -> None:
    """Drain everything that is no longer needed, and remove old files."""
    with phase("drain", entry.phases) as notes:
        processes.drain(paths)
        # A run that was killed may have left other deployments running beside the previous one.
        notes.append(f"{probation.drain_others(paths)} draining")
    with phase("prune", entry.phases) as notes:
        notes.append(prune.prune(paths, name))


_OUTCOMES = {"rolled back": outcomes.ROLLED_BACK, "failed": outcomes.NOTHING_BEFORE, "stuck": outcomes.STUCK}


@contextmanager
def _with_journal(name: str) -> Generator[None]:
    """Adds the last lines of the app's journal to a ReleaseError, and what they mean, unless the cause is Nginx."""
    try:
        yield
    except nginx.NginxError:
        raise
    except ReleaseError as error:
        failure = explain.failure(error.message, deployment.journal(name), deployment.app_folder(name))
        failure.advice = "\n".join(filter(None, (failure.advice, error.advice)))
        raise failure from None


def _previous(paths: Paths, name: str) -> str | None:
    """The deployment that a rollback from ``name`` returns to, or None if there is none.

    It is the proven deployment, which can be ``name`` itself. Without one, it is the current deployment.
    """
    proven = state.proven(paths)
    if proven and (paths.deployments / proven).is_dir():
        return proven
    current = state.current(paths)
    return current if current != name else None


def _roll_back_and_raise(
    paths: Paths, failed: str, *, previous: str | None, entry: history.Entry, error: BaseException
) -> NoReturn:
    """Roll back, then raise ``error`` with the outcome."""
    with phase("rollback", entry.phases) as notes:
        entry.result = failed_release.roll_back(paths, failed, previous)
        notes.append(entry.result)
    if isinstance(error, ReleaseError):
        error.outcome = _OUTCOMES[entry.result]
    raise error


def _still_serving(paths: Paths) -> str:
    """The outcome of a failure before the switch."""
    current = state.current(paths)
    if current and deployment.is_active(current):
        return outcomes.still_serves(deployment.release_of(current))
    return outcomes.NOTHING_SERVES
