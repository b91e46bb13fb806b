"""A server's coming and going at a cloud's balancer, which looks for itself whether a server is healthy."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi.dynamic import Resource
from pulumi_command import remote

from components.leaving import LEAVING_FILE, Leaver
from components.target import Member

# Of the balancers' health checks. Two in a row decide either way.
CHECK_SECONDS = 5
CHECKS = 2
ANSWER_SECONDS = CHECK_SECONDS - 2
# Longer than a server takes to say what took too long (60 s), shorter than its Nginx keeps a connection (75 s).
IDLE_SECONDS = 65
# Until a balancer has carried out what it was told, and its checks have been counted.
SETTLE_SECONDS = CHECK_SECONDS * CHECKS + 5


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
        super().__init__(Leaver(), f"{member.name}-leaving", inputs, opts)


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
