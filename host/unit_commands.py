"""The commands that systemd's units and the app's own processes call.

They import little, because each start and stop of a process waits for them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from host.errors import ReleaseError
from host.paths import Paths

# Each function imports its module itself: an import takes longer than most of the work.


def _wait_until_listening(deployment: str, process: str = "0") -> None:
    # Drop-ins of an earlier version call this as the app's user, after the unit has called it as root. In the app's
    # sandbox, that user sees no process.
    if os.geteuid() != 0:
        return
    # systemd leaves out the id of a process that has ended.
    from host import web_server

    web_server.wait_until_listening(Paths(), deployment, int(process))


def _wait_until_idle(deployment: str, seconds: str = "") -> None:
    from host import times, web_server

    web_server.wait_until_idle(Paths(), deployment, float(seconds or times.DRAIN_SECONDS))


def _stop_programs(process: str) -> None:
    from host import shells

    shells.stop_programs(int(process))


def _run_prefix(program: str, *arguments: str) -> None:
    from host import run_prefix

    run_prefix.replace_this_process(Path(program), arguments)


def _swap(setting: str) -> None:
    from host import swap

    print(swap.provide(Paths(), setting))


def _rotate_logs(days: str) -> None:
    from host import log_rotation, uploads

    paths = Paths()
    # First, because on a full disk the rotation may fail.
    uploads.make_room(paths)
    log_rotation.rotate(paths, int(days))


COMMANDS: dict[str, Callable[..., None]] = {
    "wait-until-listening": _wait_until_listening,  # DEPLOYMENT PROCESS
    "wait-until-idle": _wait_until_idle,  # DEPLOYMENT [SECONDS]
    "stop-programs": _stop_programs,  # PROCESS
    "run-prefix": _run_prefix,  # PROGRAM (poetry, pipenv or uv) and its arguments
    "swap": _swap,  # SIZE
    "rotate-logs": _rotate_logs,  # DAYS
    # Earlier names. Units that an earlier version wrote still use them.
    "listening": _wait_until_listening,
    "idle": _wait_until_idle,
}


def main(words: Sequence[str]) -> int:
    """Run one command, which is the first word. Exit status 0 means that it has succeeded."""
    name, *arguments = words
    try:
        COMMANDS[name](*arguments)
    except (ReleaseError, OSError, ValueError, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
