"""A private network for the machines of one stack: a bridge, an address range, the way out through NAT."""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal

from components.local import firewall, host, store
from components.local.host import LocalError, run

Status = Literal["up", "down", "gone"]
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# Kept beside the networks, but not one of them.
_FORWARDING_BEFORE = store.STATE / "ip_forward.json"
_PREFIX = "gantry-"
CANDIDATES = (IPv4Network("10.77.0.0/16"), IPv4Network("172.29.0.0/16"), IPv4Network("192.168.0.0/16"))


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network; its id is also the name of its bridge and of its table in nftables."""

    id: str
    owner: str
    cidr: str
    # Whether a later operation has seen it; what was made but never seen again lost its owner to a kill.
    claimed: bool = False

    @property
    def gateway(self) -> str:
        return str(IPv4Network(self.cidr)[1])

    @property
    def prefix(self) -> int:
        return IPv4Network(self.cidr).prefixlen


def new_id() -> str:
    return f"{_PREFIX}{secrets.token_hex(3)}"


def create(*, owner: str, cidr: str | None = None, id: str | None = None) -> Network:
    """Reserves an address range and brings the network up; a failure leaves nothing behind."""
    host.require_root_and_tools()
    with store.lock():
        name = id or new_id()
        known = find(name)
        taken = [*(other.cidr for other in listed() if other.id != name), *host_routes()]
        chosen = known.cidr if known else choose_cidr(cidr, [IPv4Network(range_) for range_ in taken])
        network = Network(id=name, owner=owner, cidr=chosen)
        store.NETWORKS.mkdir(exist_ok=True)
        store.write_json(_record(name), asdict(network))
        try:
            _up(network)
        except BaseException:
            _down(name)
            store.remove_empty_folders()
            raise
    return network


def ensure_up(id: str) -> Network:
    """Brings the network up again where it is down, say after the computer was restarted."""
    with store.lock():
        network = find(id)
        if network is None:
            raise LocalError(
                f"The local network {id} is not known on this computer",
                "A machine is booted on a network that was made here",
                "Bring back the record of it: pulumi up --refresh",
            )
        _up(network)
    return network


def destroy(id: str) -> None:
    """Removes the network from the kernel and from disk; it may be half-made, down or gone."""
    with store.lock():
        _down(id)
        store.remove_empty_folders()


def claim(id: str) -> None:
    with store.lock():
        network = find(id)
        if network and not network.claimed:
            store.write_json(_record(id), {**asdict(network), "claimed": True})


def find(id: str) -> Network | None:
    document = store.read_json(_record(id))
    return Network(**document) if document else None


def listed() -> list[Network]:
    names = sorted(path.stem for path in store.NETWORKS.glob(f"{_PREFIX}*.json"))
    return [network for network in map(find, names) if network]


def status(id: str) -> Status:
    if find(id) is None:
        return "gone"
    return "up" if _has_bridge(id) and firewall.has_table(id) else "down"


def _has_bridge(id: str) -> bool:
    return Path(f"/sys/class/net/{id}").exists()


def _record(id: str) -> Path:
    if not re.fullmatch(rf"{_PREFIX}[0-9a-f]{{6}}", id):
        raise ValueError(f"{id!r} is not the id of a local network")
    return store.NETWORKS / f"{id}.json"


def choose_cidr(wanted: str | None, taken: Iterable[IPv4Network]) -> str:
    """The wanted range, or the first free one; never one that would hide addresses the host reaches today."""
    taken = list(taken)
    if not wanted:
        free = (net for net in _candidates() if not any(net.overlaps(other) for other in taken))
        if found := next(free, None):
            return str(found)
        raise LocalError(
            "Every private address range that local networks choose from is in use",
            "A local network needs a /24 that no route of this computer overlaps",
            "Name one: pulumi config set network 10.200.7.0/24",
        )
    network = _parse(wanted)
    if clash := next((other for other in taken if network.overlaps(other)), None):
        raise LocalError(
            f"The address range {wanted} overlaps {clash}, which this computer already uses",
            "The machines' addresses must not hide others",
            "Choose another range (pulumi config set network 10.200.7.0/24), or let a free one be picked: "
            "pulumi config rm network",
        )
    return str(network)


def _candidates() -> Iterator[IPv4Network]:
    for block in CANDIDATES:
        yield from block.subnets(new_prefix=24)


def _parse(cidr: str) -> IPv4Network:
    try:
        network = IPv4Network(cidr)
    except ValueError as error:
        problem = str(error)
    else:
        if network.is_private and 16 <= network.prefixlen <= 28:
            return network
        problem = "it is not a private range between /16 and /28"
    raise LocalError(
        f"{cidr!r} is no address range for local machines: {problem}",
        "It must be a private IPv4 network with its length, and no bits set after that",
        "For example: pulumi config set network 10.77.5.0/24",
    )


def host_routes() -> list[str]:
    """The ranges that the host's routing tables lead to, other than the default route."""
    routes = json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]).stdout or "[]")
    return routed_ranges(routes)


def routed_ranges(routes: list[dict[str, str]]) -> list[str]:
    ranges: list[str] = []
    for route in routes:
        destination = route.get("dst", "default")
        if destination != "default":
            ranges.append(str(ipaddress.IPv4Network(destination, strict=False)))
    return ranges


def free_address(network: Network, taken: Iterable[str]) -> str:
    used = {IPv4Address(address) for address in taken}
    for address in list(IPv4Network(network.cidr).hosts())[1:]:
        if address not in used:
            return str(address)
    raise LocalError(
        f"The local network {network.cidr} has no free address left",
        f"It holds {IPv4Network(network.cidr).num_addresses - 3} machines",
        "Choose a larger one, such as: pulumi config set network 10.77.0.0/16",
    )


def _up(network: Network) -> None:
    """Every step is harmless where it was done before."""
    if not _has_bridge(network.id):
        # Without an address of its own, it takes that of a machine, and another one when that ends.
        address = host.hardware_address(network.gateway)
        run(["ip", "link", "add", network.id, "address", address, "type", "bridge"])
    run(["ip", "address", "replace", f"{network.gateway}/{network.prefix}", "dev", network.id])
    run(["ip", "link", "set", network.id, "up"])
    firewall.allow(network.id, network.cidr)
    _forward()


def _down(id: str) -> None:
    _record(id).unlink(missing_ok=True)
    firewall.forbid(id)
    if _has_bridge(id):
        run(["ip", "link", "delete", id])
    if not listed():
        _restore_forwarding()


def _forward() -> None:
    """Lets the host route for its machines, and remembers what was set before."""
    now = _FORWARDING.read_text().strip()
    before = store.read_json(_FORWARDING_BEFORE)
    if before is None or before["boot"] != host.boot_id():
        store.write_json(_FORWARDING_BEFORE, {"boot": host.boot_id(), "value": now})
    if now != "1":
        _FORWARDING.write_text("1")


def _restore_forwarding() -> None:
    before = store.read_json(_FORWARDING_BEFORE)
    if before and before["boot"] == host.boot_id() and _FORWARDING.read_text().strip() != before["value"]:
        _FORWARDING.write_text(before["value"])
    _FORWARDING_BEFORE.unlink(missing_ok=True)
