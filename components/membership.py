"""A server's coming and going at a balancer; a cloud's looks for itself whether a server is healthy."""

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
# Until its first check has come: a new balancer takes minutes to be there.
JOIN_SECONDS = 300


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
    member: Member,
    source: pulumi.Output[list[str]],
    status: int | None,
    after: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions | None = None,
) -> remote.Command:
    """Wait until the balancer must have found the server healthy: no other server is taken out before that.

    Its checks come from ``source``, addresses and ranges, and expect ``status``, or any 2xx or 3xx.
    """
    words = f"sudo gantry wait-for-balancer --settle {SETTLE_SECONDS} --limit {JOIN_SECONDS}"
    words += f" --expect {status}" if status else ""
    command = source.apply(lambda known: " ".join([words, *(f"--from {each}" for each in known)]))
    return _on(member, "joined", pulumi.Output.format("sudo rm -f {} && {}", LEAVING_FILE, command), after, opts)


def close(
    members: Sequence[Member],
    after: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions | None = None,
    patience: int = 0,
) -> None:
    """Once visitors are led to the balancer, let nobody ask the servers for pages but that.

    The first one may have served alone: for ``patience`` seconds visitors may remember its address.
    """
    for member in members:
        command = "sudo gantry close"
        if patience and member is members[0]:
            command += f" --patience {patience}"
        # A configuration for one server opens it again: due after each.
        _on(member, "closed", command, after, opts, stdin=member.configured)


def _on(
    member: Member,
    role: str,
    command: pulumi.Input[str],
    after: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions | None,
    stdin: pulumi.Input[str] | None = None,
) -> remote.Command:
    return remote.Command(
        f"{member.name}-{role}",
        connection=member.connection,
        create=command,
        stdin=stdin,
        triggers=[member.instance_id],
        logging=remote.Logging.STDOUT_AND_STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=after)),
    )
