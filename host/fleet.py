"""A release on one server of several: in probation until every server serves it.

The instance that was confirmed last goes on running beside the new one. When another server fails, ``revert`` moves
the traffic back at once. When nobody comes any more (the operator's computer went away), a timer does the same.
"""

from __future__ import annotations

import subprocess

from host import environment, files, serving, web
from host.console import phase, say
from host.errors import ReleaseError
from host.lock import exclusive
from host.paths import Paths
from host.unpack import unpack

TIMER = "gantry-revert"
# A revert waits for the release that is just being made on this server, which its own limits bound.
REVERT_WAITS_SECONDS = 150.0


def prepare(paths: Paths, release: str) -> None:
    """Unpack the release and install its requirements, so that what is left takes seconds and can hardly fail."""
    with exclusive(paths.lock, f"the preparation of {release}"):
        with phase("unpack") as notes:
            notes.append(unpack(paths, release))
        with phase("environment") as notes:
            notes.append(environment.environment(paths, paths.releases / release)[1])


def standby(paths: Paths) -> set[str]:
    """The instance to go back to, while another one serves in probation."""
    confirmed = serving.confirmed(paths)
    return {confirmed} if confirmed and confirmed != serving.current(paths) else set()


def before_switch(paths: Paths, seconds: int) -> None:
    """Make sure of the way back: which instance, and the timer."""
    confirmed = serving.confirmed(paths)
    if seconds and confirmed:
        serving.confirm(paths, confirmed)
        disarm(paths)
        # First the note, so that a timer is never forgotten.
        files.write(paths.probation, b"", 0o600)
        arm(seconds)


def after_switch(paths: Paths, instance: str, seconds: int) -> None:
    """End the probation, unless it has just begun."""
    if not seconds or serving.confirmed(paths) == instance:
        serving.confirm(paths, instance)
        disarm(paths)


def revert(paths: Paths) -> None:
    """Serve what was confirmed last; does nothing when that serves."""
    with exclusive(paths.lock, "a return to the confirmed release", REVERT_WAITS_SECONDS):
        for name in standby(paths):
            with phase("revert"):
                web.start(name)
                serving.serve(paths, name)
            for other in set(web.running()) - {name}:
                web.retire(other)
        disarm(paths)
    name = serving.current(paths)
    say(f"release {web.release_of(name)} is serving" if name else "no release yet")


def arm(seconds: int) -> None:
    """Let the server go back by itself after so many seconds."""
    command = ["systemd-run", "--quiet", "--collect", f"--unit={TIMER}", f"--on-active={seconds}"]
    command += ["--timer-property=AccuracySec=1s", "--property=Type=oneshot"]
    command += ["--property=Restart=on-failure", "--property=RestartSec=15"]
    done = subprocess.run([*command, "/usr/local/bin/gantry", "revert"], capture_output=True, text=True)
    if done.returncode != 0:
        raise ReleaseError(f"no timer for the way back: {done.stderr.strip()}")


def disarm(paths: Paths) -> None:
    """Take the timer away, if there is one."""
    if paths.probation.exists():
        subprocess.run(["systemctl", "stop", f"{TIMER}.timer"], capture_output=True)
        paths.probation.unlink()
