"""A server's coming and going at a cloud's balancer, which looks for itself whether a server is healthy."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi.dynamic import Resource
from pulumi_command import remote

from components import ssh
from components.manifest import LEAVING_FILE
from components.noted import Noted
from components.target import Member

# Of the balancers' health checks. Two in a row decide either way.
CHECK_SECONDS = 5
CHECKS = 2
# Until a balancer has carried out what it was told, and its checks have been counted.
SETTLE_SECONDS = CHECK_SECONDS * CHECKS + 5
# A server that is going may be gone already.
ATTEMPTS = 2
CONTACT_SECONDS = 10


class _Provider(Noted):
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        leave(_props)


class Leaving(Resource, module="gantry", name="Leaving"):
    """Nothing while the server is there; its deletion, before the server's, lets the balancer and requests finish."""

    def __init__(self, member: Member, drain_seconds: int, opts: pulumi.ResourceOptions | None = None) -> None:
        connection = member.connection
        inputs = {
            "instance_id": member.instance_id,
            "host": connection.host,
            "user": connection.user,
            "host_key": connection.host_key,
            "private_key": pulumi.Output.secret(connection.private_key),
            "seconds": SETTLE_SECONDS + drain_seconds,
        }
        super().__init__(_Provider(), f"{member.name}-leaving", inputs, opts)


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


def join(
    member: Member, after: Sequence[pulumi.Resource], opts: pulumi.ResourceOptions | None = None
) -> remote.Command:
    """Wait until the balancer must have found the server healthy: no other server is taken out before that."""
    return remote.Command(
        f"{member.name}-joined",
        connection=member.connection,
        create=f"sudo rm -f {LEAVING_FILE} && sleep {SETTLE_SECONDS}",
        triggers=[member.instance_id],
        logging=remote.Logging.STDOUT_AND_STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=after)),
    )
