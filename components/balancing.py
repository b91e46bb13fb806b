"""Adds servers to a balancer once they are healthy, and drains them before they are deleted."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi.dynamic import Resource
from pulumi_command import remote

from components.draining import DrainProvider
from components.rollout.rollout import ReleasedServer
from host import times
from host.paths import Paths


class ServerDrain(Resource, module="gantry", name="Leaving"):
    """Does nothing while the server exists. Its deletion comes before the server's and drains the server."""

    def __init__(self, server: ReleasedServer, drain_seconds: int, opts: pulumi.ResourceOptions | None = None) -> None:
        connection = server.connection
        inputs = {
            "instance_id": server.instance_id,
            "host": connection.host,
            "user": connection.user,
            "host_key": connection.host_key,
            "private_key": pulumi.Output.secret(connection.private_key),
            "seconds": times.SETTLE_SECONDS + drain_seconds,
        }
        super().__init__(DrainProvider(), f"{server.name}-leaving", inputs, opts)


def wait_until_healthy(
    server: ReleasedServer,
    *,
    balancer: pulumi.Output[list[str]],
    status: int | None,
    depends_on: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions | None = None,
) -> remote.Command:
    """Wait until the balancer counts the server as healthy. Until then no other server is drained.

    ``balancer`` has the addresses and ranges that its checks come from. A check expects ``status``; None is any 2xx or
    3xx.
    """
    words = f"sudo gantry wait-for-balancer --settle {times.SETTLE_SECONDS} --limit {times.FIRST_CHECK_SECONDS}"
    words += f" --expect {status}" if status else ""
    command = balancer.apply(lambda sources: " ".join([words, *(f"--from {source}" for source in sources)]))
    end_of_drain = f"sudo rm -f {Paths().draining}"
    text = pulumi.Output.format("{} && {}", end_of_drain, command)
    return _run(server, role="joined", command=text, depends_on=depends_on, opts=opts)


def close(
    servers: Sequence[ReleasedServer],
    *,
    depends_on: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions | None = None,
    dns_seconds: int = 0,
) -> None:
    """Make the servers reject HTTP requests that don't come from the balancer, which already has the traffic.

    The first server may have served alone: DNS resolvers may remember its address for ``dns_seconds``.
    """
    for server in servers:
        command = "sudo gantry close"
        if dns_seconds and server is servers[0]:
            command += f" --patience {dns_seconds}"
        # The configuration of a stack without a balancer opens a server again, so this runs after each configuration.
        _run(server, role="closed", command=command, depends_on=depends_on, opts=opts, stdin=server.configured)


def _run(
    server: ReleasedServer,
    *,
    role: str,
    command: pulumi.Input[str],
    depends_on: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions | None,
    stdin: pulumi.Input[str] | None = None,
) -> remote.Command:
    return remote.Command(
        f"{server.name}-{role}",
        connection=server.connection,
        create=command,
        stdin=stdin,
        triggers=[server.instance_id],
        logging=remote.Logging.STDOUT_AND_STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=depends_on)),
    )
