"""What a cloud has made, in the terms of machines, addresses and packets; and a world in which nothing boots."""

from __future__ import annotations

import threading
from collections.abc import Container
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import islice
from typing import Any, Protocol

# For benchmarks (RFC 2544), so it leads nowhere else: what a cloud's public addresses are here.
PUBLIC = IPv4Network("198.18.0.0/16")
# For documentation (RFC 5737): where the operator sits, and somebody else.
OPERATOR, STRANGER = "198.51.100.7", "203.0.113.9"
ANYWHERE = "0.0.0.0/0"


class Addresses:
    """A cloud's public addresses. Who gives one back never gets it again."""

    def __init__(self) -> None:
        self._left = map(str, islice(PUBLIC.hosts(), 1, None))
        self._lock = threading.Lock()

    def take(self, used: Container[object]) -> str:
        """The next one that isn't among these, which another process may have given."""
        with self._lock:
            return next(each for each in self._left if each not in used)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What may pass: to these ports, from (or to) these addresses and networks."""

    protocol: str = "tcp"  # or udp, icmp, all
    low: int = 0
    high: int = 65535
    peers: tuple[str, ...] = (ANYWHERE,)


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A machine in its network; None of the rules is no firewall at all."""

    id: str
    private: str
    publics: tuple[str, ...] = ()
    inbound: tuple[Rule, ...] | None = ()
    outbound: tuple[Rule, ...] | None = ()


@dataclass(frozen=True, kw_only=True)
class Health:
    """How a balancer finds out whether a target is well."""

    path: str | None  # None: that it connects is enough
    port: int
    interval: int = 10
    timeout: int = 5
    healthy: int = 5
    unhealthy: int = 3
    statuses: str = "200-399"


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A port of a balancer: it passes on, or redirects to another port over https."""

    port: int
    protocol: str = "http"
    redirect_port: int | None = None
    # Certificate and key, as PEM.
    certificate: str | None = None


@dataclass(frozen=True, kw_only=True)
class Target:
    id: str
    address: str
    port: int
    zone: str = ""


@dataclass(frozen=True, kw_only=True)
class Balancer:
    """A balancer's one public address, and those that servers see."""

    id: str
    network: str
    public: str
    nodes: tuple[str, ...]
    listeners: tuple[Listener, ...]
    targets: tuple[Target, ...]
    health: Health
    idle_seconds: int = 60
    drain_seconds: int = 30
    inbound: tuple[Rule, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class View:
    """All that should be there."""

    instances: tuple[Instance, ...] = ()
    balancers: tuple[Balancer, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Boot:
    """One machine to be: its cloud's metadata service tells it the rest."""

    id: str
    hostname: str
    network: str
    address: str
    user_data: str
    metadata: dict[str, Any]
    # How many routers the answers of the metadata service may cross.
    hop_limit: int = 64


class World(Protocol):
    """Where a cloud's machines are."""

    def network(self, id: str, cidr: str) -> None: ...

    def remove_network(self, id: str) -> None: ...

    def boot(self, boot: Boot) -> None: ...

    def restart(self, id: str) -> None: ...

    def destroy(self, id: str) -> None: ...

    def show(self, view: View) -> None:
        """Bring addresses, firewalls and balancers to this."""
        ...

    def health(self, balancer: str) -> dict[str, bool]:
        """Which targets are well, by id."""
        ...


@dataclass
class Paper:
    """Keeps the books and boots nothing: for tests of the engine alone, which are fast."""

    machines: dict[str, Boot] = field(default_factory=dict[str, Boot])
    networks: dict[str, str] = field(default_factory=dict[str, str])
    view: View = field(default_factory=View)

    def network(self, id: str, cidr: str) -> None:
        self.networks[id] = cidr

    def remove_network(self, id: str) -> None:
        del self.networks[id]

    def boot(self, boot: Boot) -> None:
        self.machines[boot.id] = boot

    def restart(self, id: str) -> None:
        """Nothing runs that could."""

    def destroy(self, id: str) -> None:
        del self.machines[id]

    def show(self, view: View) -> None:
        self.view = view

    def health(self, balancer: str) -> dict[str, bool]:
        found = next(each for each in self.view.balancers if each.id == balancer)
        return {target.id: True for target in found.targets}
