"""The servers that have switched go back at once when another one fails."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pulumi
from pulumi_command import remote

from components import ssh

COMMAND = "sudo gantry rollback --wait {seconds}"
# To connect, and for the way back itself.
EXTRA_SECONDS = 60


class Revert:
    """An error hook that serves what was proven last, on every server; their timers do it should this fail.

    ``wait`` is how many seconds a server may be busy with its own release.
    """

    hook: pulumi.ErrorHook

    def __init__(self, name: str, connections: Mapping[str, remote.ConnectionArgs], wait: int) -> None:
        self._wait = wait
        self._known: dict[str, list[str]] = {}
        for host, connection in connections.items():
            parts = (connection.host, connection.user, connection.host_key, connection.private_key)
            pulumi.Output.all(*parts).apply(lambda values, host=host: self._known.update({host: values}))
        self.hook = pulumi.ErrorHook(f"{name}-revert", self._run)

    def _run(self, args: pulumi.ErrorHookArgs) -> bool:
        # The engine asks again after each failure; there is no second try, whatever comes of this.
        with ThreadPoolExecutor(max_workers=len(self._known) or 1) as pool:
            for line in pool.map(self._revert, self._known, self._known.values()):
                pulumi.log.warn(f"{args.name} failed; {line}")
        return False

    def _revert(self, name: str, connection: list[str]) -> str:
        """What came of it, in a line."""
        try:
            done = ssh.run(
                ssh.Login(*connection), [COMMAND.format(seconds=self._wait)], timeout=self._wait + EXTRA_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{name}: not reached ({type(error).__name__})"
        words = done.stdout if done.returncode == 0 else done.stderr or done.stdout
        said = words.decode(errors="replace").strip().splitlines()
        return f"{name}: {said[-1] if said else f'exit status {done.returncode}'}"
