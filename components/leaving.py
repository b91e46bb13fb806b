"""How a server leaves a cloud's balancer. The provider process of every `up` imports it, so it imports little."""

from __future__ import annotations

import subprocess
import time
from typing import Any

from components import ssh
from components.noted import Noted

# A server behind a balancer fails its health checks while this file is there.
LEAVING_FILE = "/run/gantry-leaving"
# A server that is going may be gone already.
ATTEMPTS = 2
CONTACT_SECONDS = 10


class Leaver(Noted):
    """The provider of membership.Leaving."""

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        leave(_props)


def leave(inputs: dict[str, Any]) -> None:
    """Tell the server to fail the balancer's checks, and wait until it gets no request any more and has ended all.

    A server that doesn't answer serves nobody: there is nothing to wait for.
    """
    login = ssh.Login(*(inputs[key] for key in ("host", "user", "host_key", "private_key")))
    if _told(login):
        time.sleep(inputs["seconds"])


def _told(login: ssh.Login) -> bool:
    for _ in range(ATTEMPTS):
        try:
            if ssh.run(login, [f"sudo touch {LEAVING_FILE}"], timeout=CONTACT_SECONDS).returncode == 0:
                return True
        except (OSError, subprocess.TimeoutExpired):
            continue
    return False
