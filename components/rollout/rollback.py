"""Rolls back the servers that have switched, as soon as another one fails."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pulumi
from pulumi_command import remote

from components import ssh
from components.rollout.login import with_login
from components.server import commands

# To connect, and for the rollback itself.
EXTRA_SECONDS = 60


class RollbackHook:
    """An error hook that serves the proven release again on every server. If it fails, the servers' timers do it.

    ``wait_seconds`` limits how long a server may be busy with its own release.
    """

    hook: pulumi.ErrorHook

    def __init__(self, name: str, connections: Mapping[str, remote.ConnectionArgs], *, wait_seconds: int) -> None:
        self._wait_seconds = wait_seconds
        # By the server's name, once its connection is known.
        self._logins: dict[str, ssh.Login] = {}
        for server, connection in connections.items():
            with_login(connection, lambda login, server=server: self._logins.update({server: login}))
        self.hook = pulumi.ErrorHook(f"{name}-revert", self._run)

    def _run(self, args: pulumi.ErrorHookArgs) -> bool:
        """Returns False: the engine must not try again, whatever the result of the rollback is."""
        with ThreadPoolExecutor(max_workers=len(self._logins) or 1) as pool:
            for line in pool.map(self._roll_back, self._logins, self._logins.values()):
                pulumi.log.warn(f"{args.name} failed; {line}")
        return False

    def _roll_back(self, server: str, login: ssh.Login) -> str:
        """The result, in one line with the server's name."""
        command = commands.ROLL_BACK.format(seconds=self._wait_seconds)
        try:
            result = ssh.run(login, [command], timeout=self._wait_seconds + EXTRA_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{server}: not reached ({type(error).__name__})"
        output = result.stdout if result.returncode == 0 else result.stderr or result.stdout
        lines = output.decode(errors="replace").strip().splitlines()
        return f"{server}: {lines[-1] if lines else f'exit status {result.returncode}'}"
