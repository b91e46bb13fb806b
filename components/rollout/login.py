"""A Pulumi connection as a login for our own ssh."""

from __future__ import annotations

import pulumi
from pulumi_command import remote

from components.ssh import Login


def login_of(connection: remote.ConnectionArgs) -> pulumi.Output[Login]:
    """The login, known when the connection is."""
    parts = (connection.host, connection.user, connection.host_key, connection.private_key)
    return pulumi.Output.all(*parts).apply(lambda values: Login(*values))
