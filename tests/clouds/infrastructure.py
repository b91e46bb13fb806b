"""The servers, addresses, firewalls and balancers of a simulated cloud, in terms that both clouds share."""

from __future__ import annotations

import threading
from collections.abc import Container
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import islice
from typing import Any, Protocol

# The public addresses of the simulated clouds. RFC 2544 reserves this range for benchmarks, so it is used nowhere else.
PUBLIC_NETWORK = IPv4Network("198.18.0.0/16")
# Reserved for documentation (RFC 5737): the address of the operator, and that of somebody without permissions.
OPERATOR, STRANGER = "198.51.100.7", "203.0.113.9"
ANYWHERE = "0.0.0.0/0"


class AddressPool:
    """The public addresses of one cloud. No address is given out twice."""

    def __init__(self) -> None:
        self._free = map(str, islice(PUBLIC_NETWORK.hosts(), 1, None))
        self._lock = threading.Lock()

    def take(self, used: Container[object]) -> str:
        """The next address that isn't in ``used``: an earlier process may have given those out."""
        with self._lock:
            return next(address for address in self._free if address not in used)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Traffic that a firewall admits: to these ports, from (or to) these addresses and networks."""

    protocol: str = "tcp"  # or udp, icmp, all
    low_port: int = 0
    high_port: int = 65535
    peers: tuple[str, ...] = (ANYWHERE,)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server in its network. Rules of None mean that it has no firewall."""

    id: str
    private_address: str
    public_addresses: tuple[str, ...] = ()
    inbound: tuple[Rule, ...] | None = ()
    outbound: tuple[Rule, ...] | None = ()


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """How a balancer decides whether a target is healthy. Times are in seconds."""

    path: str | None  # None: a TCP connection is enough
    port: int
    interval: int = 10
    timeout: int = 5
    healthy_threshold: int = 5
    unhealthy_threshold: int = 3
    statuses: str = "200-399"


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A port of a balancer. It forwards requests, or redirects them to another port over HTTPS."""

    port: int
    protocol: str = "http"
    redirect_port: int | None = None
    # Certificate and key, as PEM.
    certificate: str | None = None


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server that a balancer forwards requests to."""

    id: str
    address: str
    port: int
    zone: str = ""


@dataclass(frozen=True, kw_only=True)
class Balancer:
    """A balancer. ``node_addresses`` are those in the servers' network from which its requests come."""

    id: str
    network: str
    public_address: str
    node_addresses: tuple[str, ...]
    listeners: tuple[Listener, ...]
    targets: tuple[Target, ...]
    health_check: HealthCheck
    idle_seconds: int = 60
    drain_seconds: int = 30
    inbound: tuple[Rule, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Topology:
    """All servers and balancers that an account has."""

    servers: tuple[Server, ...] = ()
    balancers: tuple[Balancer, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ServerSpec:
    """A server to boot. Its cloud's metadata service answers with ``metadata``."""

    id: str
    hostname: str
    network: str
    address: str
    user_data: str
    metadata: dict[str, Any]
    # How many routers the answers of the metadata service may cross.
    hop_limit: int = 64


class Infrastructure(Protocol):
    """Provides what an account describes: networks, servers, firewalls and balancers."""

    def create_network(self, id: str, cidr: str) -> None: ...

    def remove_network(self, id: str) -> None: ...

    def boot(self, spec: ServerSpec) -> None: ...

    def restart(self, id: str) -> None: ...

    def destroy(self, id: str) -> None: ...

    def create_volume(self, id: str, gigabytes: int) -> None: ...

    def resize_volume(self, id: str, gigabytes: int) -> None: ...

    def delete_volume(self, id: str) -> None: ...

    def attach_volume(self, id: str, server: str, link: str) -> None:
        """The volume becomes a block device of the server, with the name ``link`` in /dev/disk/by-id."""
        ...

    def detach_volume(self, id: str) -> None: ...

    def apply(self, topology: Topology) -> None:
        """Make addresses, firewalls and balancers match the topology."""
        ...

    def target_health(self, balancer_id: str) -> dict[str, bool]:
        """Whether each target is healthy, by its id."""
        ...


@dataclass
class RecordedInfrastructure:
    """Records the servers and networks, and boots nothing: tests of the engine alone stay fast."""

    servers: dict[str, ServerSpec] = field(default_factory=dict[str, ServerSpec])
    networks: dict[str, str] = field(default_factory=dict[str, str])
    # The size of each volume in GB, and the server that it is attached to.
    volumes: dict[str, int] = field(default_factory=dict[str, int])
    attachments: dict[str, str] = field(default_factory=dict[str, str])
    topology: Topology = field(default_factory=Topology)

    def create_network(self, id: str, cidr: str) -> None:
        self.networks[id] = cidr

    def remove_network(self, id: str) -> None:
        del self.networks[id]

    def boot(self, spec: ServerSpec) -> None:
        self.servers[spec.id] = spec

    def restart(self, id: str) -> None:
        """Does nothing: no server runs."""

    def destroy(self, id: str) -> None:
        del self.servers[id]

    def create_volume(self, id: str, gigabytes: int) -> None:
        self.volumes[id] = gigabytes

    def resize_volume(self, id: str, gigabytes: int) -> None:
        self.volumes[id] = gigabytes

    def delete_volume(self, id: str) -> None:
        del self.volumes[id]

    def attach_volume(self, id: str, server: str, link: str) -> None:
        self.attachments[id] = server

    def detach_volume(self, id: str) -> None:
        self.attachments.pop(id, None)

    def apply(self, topology: Topology) -> None:
        self.topology = topology

    def target_health(self, balancer_id: str) -> dict[str, bool]:
        balancer = next(balancer for balancer in self.topology.balancers if balancer.id == balancer_id)
        return {target.id: True for target in balancer.targets}
