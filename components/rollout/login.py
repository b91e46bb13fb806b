"""The two logins of a stack's servers, and a Pulumi connection as a login for our own ssh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pulumi
from pulumi_command import remote

from components.keys import SshKeyPair
from components.server import logins
from components.ssh import Login

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Logins:
    """The private key of the user admin, and the script that creates this user on a server."""

    admin_key: pulumi.Input[str]
    creation: pulumi.Input[str]


def of_keys(*, admin: SshKeyPair, deploy: SshKeyPair) -> Logins:
    """The logins of a stack with these keys."""
    keys = pulumi.Output.all(admin.public_key, deploy.public_key)
    return Logins(admin_key=admin.private_key, creation=keys.apply(lambda values: logins.creation(*values)))


def with_login(connection: remote.ConnectionArgs, use: Callable[[Login], T]) -> pulumi.Output[T]:
    """Call ``use`` with the login as soon as the connection is known; the output has its result."""
    parts = (connection.host, connection.user, connection.host_key, connection.private_key)
    return pulumi.Output.all(*parts).apply(lambda values: use(Login(*values)))
