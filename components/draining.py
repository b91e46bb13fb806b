"""Drains a server: fails the balancer's health checks, then waits for in-flight requests.

The provider process of every `up` imports this module, so it imports little.
"""

from __future__ import annotations

import subprocess
import time
from typing import Any

from components import ssh
from components.providers import MarkerProvider
from host.paths import Paths

# Few attempts, because a server that is about to be deleted may not exist any more.
ATTEMPTS = 2
CONNECT_SECONDS = 10


class DrainProvider(MarkerProvider):
    """The provider of balancing.ServerDrain."""

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        drain(_props)


def drain(inputs: dict[str, Any]) -> None:
    """Let the server fail the balancer's checks, then wait ``inputs["seconds"]`` for requests to end.

    Doesn't wait if the server can't be reached, because then it serves no requests.
    """
    login = ssh.Login(
        address=inputs["host"], user=inputs["user"], host_key=inputs["host_key"], private_key=inputs["private_key"]
    )
    if _fail_health_checks(login):
        time.sleep(inputs["seconds"])


def _fail_health_checks(login: ssh.Login) -> bool:
    """Whether the server was reached."""
    for _ in range(ATTEMPTS):
        try:
            result = ssh.run(login, [f"sudo touch {Paths().draining}"], timeout=CONNECT_SECONDS)
            if result.returncode == 0:
                return True
        except (OSError, subprocess.TimeoutExpired):
            continue
    return False
