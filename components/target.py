"""What every target offers: its classes, their arguments and their outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import pulumi
from pulumi_command import remote

from components.keys import SshKeyPair
from components.rollout.login import Logins
from components.rollout.rollout import ReleasedServer
from components.rollout.steps import RolloutArgs
from components.server.host_program import HostProgram
from components.server.limits import Limits
from components.server.updates import Updates
from components.server.user_data import Identity
from components.settings.common import TargetSettings

# With pulumi-command's growing pauses of up to 5 s, these last about five minutes.
FIRST_DIAL_ATTEMPTS = 70

# A target's own Network class, and its settings.
N = TypeVar("N")
S = TypeVar("S", bound=TargetSettings)


class Target(Protocol[N, S]):
    """A target's module ``components.<target>.target``: five classes, whose constructors take a name and arguments."""

    @property
    def Network(self) -> Callable[[str, NetworkArgs[S]], N]: ...

    @property
    def Volume(self) -> Callable[[str, VolumeArgs[N]], Volume]: ...

    @property
    def Server(self) -> Callable[[str, ServerArgs[N]], Server]: ...

    @property
    def Balancer(self) -> Callable[[str, BalancerArgs[N]], Balancer]: ...

    @property
    def Address(self) -> Callable[[str, AddressArgs[N]], Entrypoint]: ...


@dataclass(frozen=True, kw_only=True)
class NetworkArgs(Generic[S]):
    """Where the servers are, and who may reach them."""

    settings: S
    public_key: pulumi.Input[str]  # of the deploy user
    hooks: pulumi.ResourceHookBinding | None = None  # of a resource whose replacement replaces all servers


@dataclass(frozen=True, kw_only=True)
class ServerArgs(Generic[N]):
    network: N
    user_data: pulumi.Input[str]  # for cloud-init; a change replaces the server
    user: str  # who logs in
    private_key: pulumi.Input[str]  # of that user, in OpenSSH's format
    host_key: pulumi.Input[str]  # public key that the server must show at the first connection
    number: int = 0  # among the stack's servers
    image: str | None = None  # pins an image; None is the target's usual one
    balanced: bool = False  # whether it stands behind a balancer
    volume: Volume | None = None  # a volume that will be attached to it
    hooks: pulumi.ResourceHookBinding | None = None  # of the server's own resource


@dataclass(frozen=True, kw_only=True)
class VolumeArgs(Generic[N]):
    """A volume outlives its server. Its deletion is refused unless it is ``deletable``. It is never made smaller."""

    network: N
    gigabytes: int
    deletable: bool = False
    outage_seconds: int = 0  # how long the site is down, about, when the volume moves to another server


@dataclass(frozen=True, kw_only=True)
class BalancerArgs(Generic[N]):
    network: N
    health_path: str  # a balancer with health checks requests this path
    health_status: int | None = None  # the status of a healthy answer; None is any 2xx or 3xx
    drain_seconds: int  # limit for in-flight requests of a server that is drained
    domain: str | None = None
    # For targets whose balancer is a machine: who logs in, and the program that configures it.
    key: SshKeyPair
    logins: Logins
    host_program: HostProgram
    limits: Limits
    updates: Updates


class Volume(Protocol):
    """Keeps the app's data when its server is replaced."""

    volume_id: pulumi.Output[str]
    # Its device on the server that it is attached to, or the folder there at which the target mounts it.
    path: pulumi.Output[str]
    # The target's Server needs it when it is created: a zone, or the id of a folder.
    location: pulumi.Output[str]

    def attach(self, server: Server, depends_on: Sequence[pulumi.Resource]) -> pulumi.CustomResource:
        """The attachment to ``server``, after ``depends_on``. The attachment to another server is deleted first.
        Called again, it returns the same attachment.
        """
        ...


class Server(Protocol):
    """A server with its own disk, systemd, cloud-init and sshd."""

    instance_id: pulumi.Output[str]
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]
    connection: remote.ConnectionArgs


class ServerComponent(pulumi.ComponentResource, Server):
    """Base of the targets' servers: it registers the outputs that every server has."""

    def _register(
        self,
        args: ServerArgs[N],
        *,
        instance_id: pulumi.Output[str],
        address: pulumi.Output[str],
        private_address: pulumi.Output[str],
    ) -> None:
        self.instance_id, self.address, self.private_address = instance_id, address, private_address
        self.connection = first_connection(address, args)
        self.register_outputs(
            {
                "instance_id": instance_id,
                "address": address,
                "private_address": private_address,
                "connection": self.connection,
            }
        )


@dataclass(frozen=True, kw_only=True)
class AddressArgs(Generic[N]):
    network: N
    server: Server
    rollout: RolloutArgs  # everything that the server must have before the address moves to it
    volume: Volume | None = None  # attached before the address moves
    domain: str | None = None


@dataclass(frozen=True, kw_only=True)
class BalancerMachine:
    """A balancer that is a machine of its own, with its own host key."""

    instance_id: pulumi.Output[str]
    host_key: pulumi.Output[str]
    # The name of the user for people, known as soon as it can log in.
    admin: pulumi.Output[str]


class Entrypoint(Protocol):
    """What visitors' requests reach first: a balancer, or the address of a single server."""

    address: pulumi.Output[str]
    # After ``attach``, it waits for the DNS records of the site.
    url: pulumi.Output[str]

    def connection_to(self, server: Server) -> remote.ConnectionArgs:
        """A connection to the server that stays valid, pinned to the host key of its user-data."""
        ...

    def attach(
        self, servers: Sequence[ReleasedServer], depends_on: Sequence[pulumi.Resource]
    ) -> BalancerMachine | None:
        """Send traffic to ``servers`` once ``depends_on`` is done. Returns the balancer's machine, if it is one.

        It is a method because it comes last: a server must know its balancer before it gets a release, and must serve a
        release before it gets a request.
        """
        ...


def after(value: pulumi.Output[str], resources: Sequence[pulumi.Resource]) -> pulumi.Output[str]:
    """The value, for resources that must wait for ``resources``. A preview knows it."""
    return pulumi.Output.all(value, *[resource.urn for resource in resources]).apply(lambda values: str(values[0]))


class KeepsServerAddresses:
    """Base of entrypoints that don't change the address of a server."""

    def connection_to(self, server: Server) -> remote.ConnectionArgs:
        return server.connection


class Balancer(Entrypoint, Protocol):
    """Distributes requests over several servers."""

    # The addresses and ranges that its requests come from.
    sender_ranges: pulumi.Output[list[str]]


def first_connection(host: pulumi.Input[str], args: ServerArgs[N]) -> remote.ConnectionArgs:
    """The connection to a server that may still be booting."""
    return remote.ConnectionArgs(
        host=host,
        user=args.user,
        private_key=args.private_key,
        host_key=args.host_key,
        dial_error_limit=FIRST_DIAL_ATTEMPTS,
    )


def identity(hostname: str, key: SshKeyPair, host_key: SshKeyPair) -> pulumi.Output[Identity]:
    """The values in the user-data of one server; ``key`` is the deploy user's."""
    values = pulumi.Output.all(key.public_key, host_key.private_key, host_key.public_key)
    return values.apply(
        lambda keys: Identity(hostname=hostname, public_key=keys[0], host_private_key=keys[1], host_public_key=keys[2])
    )


def site_names(domain: str) -> list[str]:
    """The names of the site. Nginx redirects the second to the first."""
    return [domain, f"www.{domain}"]
