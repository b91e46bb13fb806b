"""The servers that have switched go back at once when another one fails."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pulumi
from pulumi_command import remote

from components import ssh

COMMAND = ["sudo", "gantry", "revert"]
# Longer than a server waits for a release that is just being made there.
TIMEOUT_SECONDS = 240


class Revert:
    """An error hook that serves what was confirmed last, on every server; their timers do it should this fail."""

    hook: pulumi.ErrorHook

    def __init__(self, name: str, connections: Mapping[str, remote.ConnectionArgs]) -> None:
        self._known: dict[str, list[str]] = {}
        for host, connection in connections.items():
            parts = (connection.host, connection.user, connection.host_key, connection.private_key)
            pulumi.Output.all(*parts).apply(lambda values, host=host: self._known.update({host: values}))
        self.hook = pulumi.ErrorHook(f"{name}-revert", self._run)

    def _run(self, args: pulumi.ErrorHookArgs) -> bool:
        # The engine asks again after each failure; there is no second try, whatever comes of this.
        with ThreadPoolExecutor(max_workers=len(self._known) or 1) as pool:
            for line in pool.map(_revert, self._known, self._known.values()):
                pulumi.log.warn(f"{args.name} failed; {line}")
        return False


def _revert(name: str, connection: list[Any]) -> str:
    """What came of it, in a line."""
    address, user, host_key, private_key = connection
    key = ssh.in_memory(private_key)
    try:
        command = ssh.command(address, user, host_key, key, COMMAND)
        done = subprocess.run(
            [*command[:1], "-o", "ConnectTimeout=5", "-o", "BatchMode=yes", *command[1:]],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{name}: not reached ({type(error).__name__})"
    finally:
        os.close(key)
    said = (done.stdout if done.returncode == 0 else done.stderr or done.stdout).strip().splitlines()
    return f"{name}: {said[-1] if said else f'exit status {done.returncode}'}"
