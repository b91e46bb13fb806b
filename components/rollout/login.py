"""A Pulumi connection as a login for our own ssh."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pulumi
from pulumi_command import remote

from components.ssh import Login

T = TypeVar("T")


def with_login(connection: remote.ConnectionArgs, use: Callable[[Login], T]) -> pulumi.Output[T]:
    """Call ``use`` with the login as soon as the connection is known; the output has its result."""
    parts = (connection.host, connection.user, connection.host_key, connection.private_key)
    return pulumi.Output.all(*parts).apply(lambda values: use(Login(*values)))
