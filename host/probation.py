"""A release on one of several servers: it is on probation until every server serves it.

The proven deployment keeps running beside the new one. If another server fails, ``rollback`` moves the traffic back at
once. If nobody confirms the release, for example because the operator's computer lost its connection, a timer on
the server runs ``rollback``.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from host import change, deployment, files, history, processes, procfile, state, systemd, times
from host.console import Phases, phase, say
from host.deployment import Deployment
from host.errors import ReleaseError
from host.install import install, install_and_build
from host.paths import Paths
from host.unpack import require_space

# How long the timer's rollback waits for a release in progress; it tries again after that. The rollout passes
# its own ``wait``: how long a release may take.
WAIT_SECONDS = 150.0


@dataclass(frozen=True)
class Preparation:
    """The inputs of the build and, on the one server whose plan is ``first``, of the release phase."""

    deployment: Deployment
    processes: processes.Plan
    # The git revision that the history shows, or None.
    revision: str | None
    # Whether linked paths are created in /var/lib/app.
    with_data: bool = True


def prepare(paths: Paths, release: str, preparation: Preparation | None = None) -> None:
    """Unpack the release and install its requirements. The remaining steps take seconds and can hardly fail.

    With ``preparation``, also build the app and run the release phase: both must succeed before any server switches.
    """
    with _preparing(paths, release, preparation) as entry:
        with phase("space", entry.phases):
            require_space(paths, release)
        folder = paths.releases / release
        is_new = not folder.is_dir()
        try:
            if preparation:
                _prepare_deployment(paths, preparation, entry)
            else:
                # Without settings, the variables aren't known: a list of packages that names one fails here.
                install(paths, release, {}, seconds=entry.phases)
        except BaseException:
            if is_new and folder.is_dir():
                files.remove_tree(folder)
            raise
        if is_new:
            # Until it serves, it counts as the oldest release: failed attempts must not push out releases that a
            # rollback may need.
            os.utime(folder, (0, 0))
        entry.result = "prepared"


@contextmanager
def _preparing(paths: Paths, release: str, preparation: Preparation | None) -> Generator[history.Entry]:
    """Holds the server's lock during the block, and records the yielded entry in the history."""
    seconds, variables = Phases(), preparation.deployment.variables if preparation else None
    with ExitStack() as stack:
        stack.enter_context(change.exclusive(paths, f"the preparation of {release}", seconds))
        name, revision = (preparation.deployment.name, preparation.revision) if preparation else (release, None)
        entry = history.new_entry(release, name, revision)
        entry.phases.update(seconds)
        yield stack.enter_context(history.recording(paths, entry, variables))


def _prepare_deployment(paths: Paths, options: Preparation, entry: history.Entry) -> None:
    name = options.deployment.name
    try:
        folders = install_and_build(paths, options.deployment, entry.phases, with_data=options.with_data)
        if options.processes.first and "release" in procfile.read(paths.releases / options.deployment.release):
            processes.prepare(paths, options.deployment, folders=folders, plan=options.processes, seconds=entry.phases)
    except BaseException:
        if name not in state.needed(paths):
            deployment.remove(paths, name)
        raise


def begin(paths: Paths, seconds: float) -> None:
    """Prepare a rollback before the switch. With a probation, a timer rolls back after ``seconds``.

    ``seconds`` is 0 if the release needs no confirmation. Then no timer starts.
    """
    processes.save_for_rollback(paths)
    if seconds:
        disarm(paths, systemd.ROLLBACK_SERVICE)
        # The file comes before the timer, so that ``disarm`` never misses a timer.
        files.write(paths.probation, b"", 0o600)
        arm(seconds)


def passed(paths: Paths, name: str) -> bool:
    """Whether the deployment has passed its watch on this server: it is proven, or on probation since its watch."""
    on_probation = paths.probation.read_text() if paths.probation.exists() else ""
    return name in (state.proven(paths), on_probation)


def settle(paths: Paths, name: str, seconds: float, phases: Phases | None = None) -> None:
    """After the watch: put the deployment on probation, or, if ``seconds`` is 0, make it the proven one."""
    if seconds and paths.probation.exists():
        files.write(paths.probation, name.encode(), 0o600)
        return
    is_confirmation = paths.probation.exists() and state.proven(paths) != name
    with phase("confirm", phases) if is_confirmation else nullcontext():
        state.prove(paths, name)
        disarm(paths, systemd.ROLLBACK_SERVICE)
        processes.delete_saved(paths)


def rollback(paths: Paths, wait: float = WAIT_SECONDS) -> None:
    """Serve the proven deployment again. If it serves already, only drain others and end the probation.

    Waits at most ``wait`` seconds for a release in progress; then raises ReleaseError.

    A server without a proven deployment serves nothing: a release that the other servers don't have must not get
    requests from the balancer.
    """
    seconds = Phases()
    with ExitStack() as stack:
        stack.enter_context(change.exclusive(paths, "a rollback", seconds, wait))
        name, proven = state.current(paths), state.proven(paths)
        if name and name != proven and (proven or paths.probation.exists()):
            entry = history.new_entry(deployment.release_of(name), name)
            entry.phases.update(seconds)
            seconds = entry.phases
            stack.enter_context(history.recording(paths, entry))
            with phase("rollback", seconds):
                _serve_again(paths, proven)
            entry.result, entry.reason = "rolled back", "the rollout didn't succeed on every server"
        with phase("drain", seconds) as notes:
            notes.append(f"{drain_others(paths)} draining")
        with phase("processes", seconds):
            processes.roll_back(paths)
        disarm(paths)
    serves = state.current(paths)
    say(f"release {deployment.release_of(serves)} is serving" if serves else "this server serves no release")


def _serve_again(paths: Paths, proven: str | None) -> None:
    if proven is None:
        # The balancer may send requests to this server until the server's health checks have failed.
        files.write(paths.draining, b"", 0o644)
        time.sleep(times.SETTLE_SECONDS)
        state.serve_nothing(paths)
        paths.draining.unlink()
        return
    deployment.start(proven)
    state.serve(paths, proven)


def drain_others(paths: Paths) -> int:
    """Drain every deployment that neither serves nor is needed for a rollback; returns their number."""
    others = set(deployment.running()) - state.needed(paths)
    for name in sorted(others):
        deployment.drain(name)
    return len(others)


def arm(seconds: float) -> None:
    """Start a timer that rolls back after ``seconds``."""
    name = systemd.ROLLBACK_SERVICE.removesuffix(".service")
    command = ["systemd-run", "--quiet", "--collect", f"--unit={name}", f"--on-active={seconds:.0f}"]
    command += ["--timer-property=AccuracySec=1s", "--property=Type=oneshot"]
    command += ["--property=Restart=on-failure", "--property=RestartSec=15"]
    command += [str(Paths().gantry_command), "rollback"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise ReleaseError(f"the timer for the rollback doesn't start: {result.stderr.strip()}")


def disarm(paths: Paths, *units: str) -> None:
    """Stop the timer, if there is one, and ``units``.

    A release also stops the timer's service, which may be waiting for the lock or for its next attempt. A rollback
    doesn't stop the service, because the service may be running this very rollback.
    """
    if paths.probation.exists():
        systemd.systemctl("stop", systemd.ROLLBACK_TIMER, *units)
        paths.probation.unlink()
