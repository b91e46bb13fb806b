"""A release on one server of several: on probation until every server serves it.

The instance that was proven last goes on running beside the new one. When another server fails, ``revert`` moves the
traffic back at once. When nobody comes any more (the operator's computer went away), a timer does the same.
"""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from host import files, history, processes, procfile, reserve, serving, systemd, web
from host.console import phase, say
from host.errors import ReleaseError
from host.install import install
from host.lock import exclusive
from host.paths import Paths
from host.unpack import require_space

UNIT = "gantry-revert"
# What the timer starts: it may be trying, again and again, or waiting for a release to end.
SERVICE, TIMER = f"{UNIT}.service", f"{UNIT}.timer"
# For the timer, which tries again; who calls ``revert`` says how long a release may take there.
WAIT_SECONDS = 150.0
# Until a balancer's checks have failed: SETTLE_SECONDS in components/membership.py.
LEAVE_SECONDS = 15.0


@dataclass(frozen=True)
class First:
    """What the one server that runs the release process needs for it."""

    instance: web.Instance
    processes: processes.Plan
    # What it was made from, for the history.
    revision: str | None


def prepare(paths: Paths, release: str, first: First | None = None) -> None:
    """Unpack the release and install its requirements, so that what is left takes seconds and can hardly fail.

    On the ``first`` server run the release process too: on every other one a switch may follow at once.
    """
    with exclusive(paths.lock, f"the preparation of {release}"), reserve.lent(paths):
        with phase("space"):
            require_space(paths, release)
        folder = paths.releases / release
        new = not folder.is_dir()
        try:
            venv = install(paths, release)
            if first:
                _migrate(paths, first, venv)
        except BaseException:
            if new and folder.is_dir():
                files.remove_tree(folder)
            raise
        if new:
            # Until it has served it is the oldest: attempts that fail mustn't push out what can be gone back to.
            os.utime(folder, (0, 0))


def _migrate(paths: Paths, first: First, venv: Path) -> None:
    if "release" not in procfile.of(paths.releases / first.instance.release):
        return
    name = first.instance.name
    login, address = history.source()
    entry = history.Entry(first.instance.release, name, login, address, first.revision)
    try:
        with history.recorded(paths, entry):
            processes.prepare(paths, first.instance, venv, first.processes)
            entry.result = "prepared"
    except BaseException:
        if name not in serving.needed(paths):
            web.forget(paths, name)
        raise


def begin(paths: Paths, seconds: float) -> None:
    """Make sure of the way back before anything is switched; ``seconds`` is 0 without a probation."""
    processes.remember(paths)
    if seconds:
        disarm(paths, SERVICE)
        # First the note, so that a timer is never forgotten.
        files.write(paths.probation, b"", 0o600)
        arm(seconds)


def passed(paths: Paths, instance: str) -> bool:
    """Whether ``instance`` has nothing left to show on this server: its watch ended well."""
    noted = paths.probation.read_text() if paths.probation.exists() else ""
    return instance in (serving.proven(paths), noted)


def settle(paths: Paths, instance: str, seconds: float) -> None:
    """``instance`` stood its tests here: it is on probation, or the one to go back to."""
    if seconds and paths.probation.exists():
        files.write(paths.probation, instance.encode(), 0o600)
        return
    serving.prove(paths, instance)
    disarm(paths, SERVICE)
    processes.forget_remembered(paths)


def revert(paths: Paths, wait: float = WAIT_SECONDS) -> None:
    """Serve what was proven last; does nothing when that serves. Waits so many seconds for a release that goes on.

    A server that has proven none serves nothing: a release that the others don't have must not stay in the rotation.
    """
    with exclusive(paths.lock, "a return to the release before", wait), reserve.lent(paths):
        name, back = serving.current(paths), serving.proven(paths)
        if name and name != back and (back or paths.probation.exists()):
            login, address = history.source()
            entry = history.Entry(web.release_of(name), name, login, address)
            with history.recorded(paths, entry), phase("revert", entry.phases):
                _serve_again(paths, back)
                entry.result, entry.reason = "reverted", "the rollout didn't get through on every server"
        retire_others(paths)
        processes.go_back(paths)
        disarm(paths)
    serves = serving.current(paths)
    say(f"release {web.release_of(serves)} is serving" if serves else "no release yet")


def _serve_again(paths: Paths, back: str | None) -> None:
    if back is None:
        # First out of the rotation, which it may be in: a balancer sends visitors until its checks have failed.
        files.write(paths.leaving, b"", 0o644)
        time.sleep(LEAVE_SECONDS)
        serving.serve_nothing(paths)
        paths.leaving.unlink()
        return
    web.start(back)
    serving.serve(paths, back)


def retire_others(paths: Paths) -> int:
    """Let all that neither serve nor are gone back to finish their requests and end; says how many they are."""
    others = set(web.running()) - serving.needed(paths)
    for other in sorted(others):
        web.retire(other)
    return len(others)


def arm(seconds: float) -> None:
    """Let the server go back by itself after so many seconds."""
    command = ["systemd-run", "--quiet", "--collect", f"--unit={UNIT}", f"--on-active={seconds:.0f}"]
    command += ["--timer-property=AccuracySec=1s", "--property=Type=oneshot"]
    command += ["--property=Restart=on-failure", "--property=RestartSec=15"]
    done = subprocess.run([*command, "/usr/local/bin/gantry", "revert"], capture_output=True, text=True)
    if done.returncode != 0:
        raise ReleaseError(f"no timer for the way back: {done.stderr.strip()}")


def disarm(paths: Paths, *also: str) -> None:
    """Take the timer away, if there is one, and with it ``also``; the service itself comes by here, and mustn't end."""
    if paths.probation.exists():
        systemd.systemctl("stop", TIMER, *also)
        paths.probation.unlink()
