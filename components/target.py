"""What every target's folder offers: the arguments of its components, and what they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import pulumi
from pulumi_command import remote

from components.keys import SshKeyPair
from components.rollout import RolloutArgs

# With pulumi-command's growing pauses of up to 5 s between them, these last about five minutes.
DIALS_AT_FIRST_CONTACT = 70

# A target's own Network.
N = TypeVar("N")


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Where the servers are, and who may reach them."""

    cidr: str | None = None  # a private range such as 10.77.5.0/24; None picks one
    region: str = ""
    vpc: str | None = None  # id of one that is there; None makes one
    public_key: pulumi.Input[str] = ""  # of who delivers
    ssh_from: Sequence[str] = ()
    ssh_key: str | None = None  # the cloud's id of a key that is there; None uploads public_key


@dataclass(frozen=True, kw_only=True)
class ServerArgs(Generic[N]):
    network: N
    user_data: pulumi.Input[str]  # for cloud-init; another one makes another machine
    user: str  # who logs in
    private_key: pulumi.Input[str]  # of that user, in OpenSSH's format
    host_key: pulumi.Input[str]  # public key that the machine must show at first contact
    number: int = 0  # among the stack's servers
    size: str | None = None  # None is the target's usual one
    image: str | None = None  # one to stay on; None is the target's usual one
    backups: bool = False
    balanced: bool = False  # whether it stands behind a balancer


@dataclass(frozen=True, kw_only=True)
class BalancerArgs(Generic[N]):
    network: N
    health_path: str  # a balancer that asks by itself asks this, and expects health_status, or any 2xx or 3xx
    health_status: int | None = None
    drain_seconds: int = 30  # how long requests may go on when a server is taken out
    domain: str | None = None
    zone: str | None = None
    access_logs: bool = False
    protect: bool = False
    # Who may log in, and the program that configures. For targets whose balancer is a machine.
    key: SshKeyPair
    host_program: Path
    host_program_path: str


class Server(Protocol):
    """A machine with its own disk, systemd, cloud-init and sshd."""

    instance_id: pulumi.Output[str]
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]
    connection: remote.ConnectionArgs


@dataclass(frozen=True, kw_only=True)
class AddressArgs(Generic[N]):
    network: N
    server: Server
    delivery: RolloutArgs  # what the server must have before the address moves to it
    domain: str | None = None
    zone: str | None = None
    protect: bool = False


@dataclass(frozen=True, kw_only=True)
class Member:
    """A server that serves the release; ``connection`` is pinned to its own host key."""

    name: str
    instance_id: pulumi.Output[str]
    private_address: pulumi.Output[str]
    connection: remote.ConnectionArgs
    configured: pulumi.Output[str]  # what its configuration printed, in no two runs the same


class Front(Protocol):
    """What visitors ask: a Balancer, or the Address of a single server."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]

    def reach(self, server: Server) -> remote.ConnectionArgs:
        """The way to a server that stays, with the host key of its first contact."""
        ...

    def attach(self, members: Sequence[Member], after: Sequence[pulumi.Resource]) -> pulumi.Output[str] | None:
        """Lead visitors to ``members`` once ``after`` is done; gives the host key of a balancer that is a machine.

        A method, since it comes last: a server must know where requests come from before it gets a release, and must
        have a release before it gets a request.
        """
        ...


def first_contact(host: pulumi.Input[str], args: ServerArgs[N]) -> remote.ConnectionArgs:
    """The connection to a machine that may still be booting."""
    return remote.ConnectionArgs(
        host=host,
        user=args.user,
        private_key=args.private_key,
        host_key=args.host_key,
        dial_error_limit=DIALS_AT_FIRST_CONTACT,
    )


def site_names(domain: str) -> list[str]:
    """What the site is reached by; Nginx redirects the second to the first."""
    return [domain, f"www.{domain}"]
