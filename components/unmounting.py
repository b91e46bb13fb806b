"""Stops the app of a server and unmounts its volume, before the volume is detached.

The provider process of every `up` imports this module, so it imports little.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import Any

from components import ssh
from components.providers import MarkerProvider

# A server that is busy or boots may answer late. Together these are about one and a half minutes.
ATTEMPTS = 6
PAUSE_SECONDS = 5
CONNECT_SECONDS = 10
# For the unmount itself, besides the stop of the app.
EXTRA_SECONDS = 90
UNMOUNT = "sudo gantry unmount-volume --stop {seconds}"
# The address of a server that the user has found dead.
DEAD_SERVER = "GANTRY_DEAD_SERVER"


class UnmountProvider(MarkerProvider):
    """The provider of volumes.Unmount."""

    about = "attachment"

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        unmount(_props)


def unmount(inputs: dict[str, Any]) -> None:
    """Stop the app within ``inputs["seconds"]``, and unmount its volume. Raises RuntimeError.

    A server that doesn't answer may still run, and its app may write. So it counts as dead only if this computer knows
    that, as of a local machine, or if the user says so. For the file system, that is like a power cut.
    """
    login = ssh.Login(
        address=inputs["host"], user=inputs["user"], host_key=inputs["host_key"], private_key=inputs["private_key"]
    )
    is_dead = _is_stopped_machine(inputs["attachment"]) or os.environ.get(DEAD_SERVER) == login.address
    seconds = int(inputs["seconds"])
    # What the user says may be wrong. A server that answers unmounts.
    for attempt in range(1 if is_dead else ATTEMPTS):
        time.sleep(PAUSE_SECONDS if attempt else 0)
        if not _is_reached(login):
            continue
        try:
            # It may be run again: the app is stopped by then, or the volume is unmounted.
            result = ssh.run(login, [UNMOUNT.format(seconds=seconds)], timeout=seconds + EXTRA_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if result.returncode == 0:
            return
        if result.returncode != ssh.NO_CONNECTION:
            output = (result.stderr or result.stdout).decode(errors="replace").strip()
            raise RuntimeError(f"{login.address}: the volume can't be unmounted, so it stays where it is\n{output}")
    if not is_dead:
        raise RuntimeError(
            f"{login.address} doesn't answer over SSH, so its volume stays attached: the app may still write to it."
            " Make the server answer, and run the command again. If it is dead, stop it in the cloud's console, and"
            f" run the command with this variable: {DEAD_SERVER}={login.address}"
        )
    print(f"{login.address} is dead: its volume is detached without an unmount", flush=True)


def _is_reached(login: ssh.Login) -> bool:
    try:
        return ssh.run(login, ["true"], timeout=CONNECT_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _is_stopped_machine(attachment: str) -> bool:
    """Whether the attachment is that of a machine on this computer, whose id it has, which doesn't run."""
    if not re.fullmatch(r"i-[0-9a-f]{8}", attachment):
        return False
    from components.local import machine

    return machine.status(attachment) in ("stopped", "half-made", "gone")
