"""The commands that systemd's units and the app's own processes call.

They import little, because each start and stop of a process waits for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from host import run_prefix, shells, web_server
from host.errors import ReleaseError
from host.paths import Paths


def _wait_until_listening(paths: Paths, deployment: str, process: str) -> None:
    web_server.wait_until_listening(paths, deployment, int(process))


def _wait_until_idle(paths: Paths, deployment: str) -> None:
    web_server.wait_until_idle(paths, deployment)


def _stop_programs(paths: Paths, process: str) -> None:
    shells.stop_programs(int(process))


def _run_prefix(paths: Paths, program: str, *arguments: str) -> None:
    run_prefix.replace_this_process(Path(program), arguments)


COMMANDS: dict[str, Callable[..., None]] = {
    "wait-until-listening": _wait_until_listening,  # DEPLOYMENT PROCESS
    "wait-until-idle": _wait_until_idle,  # DEPLOYMENT
    "stop-programs": _stop_programs,  # PROCESS
    "run-prefix": _run_prefix,  # PROGRAM (poetry, pipenv or uv) and its arguments
    # Earlier names. Units that an earlier version wrote still use them.
    "listening": _wait_until_listening,
    "idle": _wait_until_idle,
}


def main(words: Sequence[str]) -> int:
    """Run one command, which is the first word. Exit status 0 means that it has succeeded."""
    name, *arguments = words
    try:
        COMMANDS[name](Paths(), *arguments)
    except (ReleaseError, OSError, ValueError, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
