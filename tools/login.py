"""The servers of a stack and how to log in on them, for bin/ssh and bin/data. Needs no Pulumi package."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components import ssh

PULUMI = Path(__file__).resolve().parents[1] / "bin/pulumi"
# A server with two host keys shows each for a minute.
ALTERNATION_SECONDS = 70
PAUSE_SECONDS = 3


class NoServerError(Exception):
    """The stack has no such server. The text says which ones it has."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server of a stack; ``id`` differs from that of a server that it replaces."""

    name: str
    id: str
    login: ssh.Login


def find(stack: str, name: str | None) -> Server:
    """The server with this name, or the first one. Raises NoServerError, or SystemExit if Pulumi fails."""
    return server_in(_outputs(stack), stack, name)


def server_in(outputs: Mapping[str, Any], stack: str, name: str | None) -> Server:
    """The same, by the stack's ``outputs``, which have their secrets. Raises NoServerError."""
    servers: dict[str, Mapping[str, Any]] = {
        server["name"]: server
        for server in [*outputs.get("servers", []), *([outputs["balancer"]] if "balancer" in outputs else [])]
    }
    if not servers:
        raise NoServerError(f"stack {stack} has no servers; bring it up with: make up STACK={stack}")
    server = servers.get(name or next(iter(servers)))
    if server is None:
        raise NoServerError(f"stack {stack} has no server {name}; it has: {', '.join(servers)}")
    login = login_to(server, outputs)
    if server.get("first_host_key"):
        login = _first_login([login, replace(login, user=ssh.ADMIN, private_key=outputs["ssh_key"])])
    return Server(name=server["name"], id=server["instance_id"], login=login)


def login_to(server: Mapping[str, Any], outputs: Mapping[str, Any]) -> ssh.Login:
    """The login of a person on a ``server`` of the stack's ``outputs``, which have their secrets.

    Servers of earlier versions have only the user deploy, as have those whose first rollout failed early.
    """
    user = server.get("user", ssh.DEPLOY)
    # The only key of earlier versions is that of deploy.
    key = outputs["ssh_key"] if user == ssh.ADMIN else outputs.get("deploy_key", outputs["ssh_key"])
    return ssh.Login(address=server["address"], user=user, host_key=server["host_key"], private_key=key)


def _first_login(logins: Sequence[ssh.Login]) -> ssh.Login:
    """Waits until a server whose first rollout failed shows the host key that the stack has recorded.

    Such a server may alternate each minute between that key and its own one. Returns the login that it accepts.
    """
    deadline = time.monotonic() + ALTERNATION_SECONDS
    while time.monotonic() < deadline:
        for login in reversed(logins):
            if ssh.run(login, ["true"], timeout=ALTERNATION_SECONDS).returncode != ssh.NO_CONNECTION:
                return login
        time.sleep(PAUSE_SECONDS)
    return logins[0]


def _outputs(stack: str) -> dict[str, Any]:
    command = [str(PULUMI), "stack", "output", "--json", "--show-secrets", "--stack", stack]
    result = subprocess.run(command, stdout=subprocess.PIPE)
    if result.returncode != 0:
        raise SystemExit(result.returncode)
    return json.loads(result.stdout)
