"""The private network of one stack's machines: a bridge, an address range and NAT."""

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

from components.local import computer, firewall, forwarding, store
from components.local.computer import LocalError, run

Status = Literal["up", "down", "gone"]
_PREFIX = "gantry-"
CANDIDATES = (IPv4Network("10.77.0.0/16"), IPv4Network("172.29.0.0/16"), IPv4Network("192.168.0.0/16"))


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network. Its id is also the name of its bridge and of its nftables table."""

    id: str
    owner: str
    cidr: str
    # Whether Pulumi has checked the network after its creation. If not, a killed `up` may not have it in the state.
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
    """Reserves an address range and brings the network up. A failure leaves nothing behind."""
    computer.require_root_and_tools()
    with store.lock():
        id = id or new_id()
        existing = find(id)
        used = [*(network.cidr for network in networks() if network.id != id), *routes()]
        cidr = existing.cidr if existing else choose_cidr(cidr, [IPv4Network(range_) for range_ in used])
        network = Network(id=id, owner=owner, cidr=cidr)
        store.NETWORKS.mkdir(exist_ok=True)
        store.write_json(_record_file(id), asdict(network))
        try:
            _bring_up(network)
        except BaseException:
            _remove(id)
            store.remove_empty_folders()
            raise
    return network


def ensure_up(id: str) -> Network:
    """Brings the network up if it is down, for example after this computer was restarted."""
    with store.lock():
        network = require(id)
        _bring_up(network)
    return network


def destroy(id: str) -> None:
    """Removes the network from the kernel and from disk. It may be incomplete, down or gone."""
    with store.lock():
        _remove(id)
        store.remove_empty_folders()


def claim(id: str) -> None:
    """Records that a later operation has seen the network."""
    with store.lock():
        network = find(id)
        if network and not network.claimed:
            store.write_json(_record_file(id), {**asdict(network), "claimed": True})


def find(id: str) -> Network | None:
    return store.read_record(_record_file(id), Network)


def require(id: str) -> Network:
    """The network with this id. Raises LocalError without one."""
    if network := find(id):
        return network
    raise LocalError(
        f"This computer has no local network {id}",
        "A machine needs a network that was created on the same computer",
        "Create it again: pulumi up --refresh",
    )


def networks() -> list[Network]:
    ids = sorted(path.stem for path in store.NETWORKS.glob(f"{_PREFIX}*.json"))
    return [network for network in map(find, ids) if network]


def status(id: str) -> Status:
    if find(id) is None:
        return "gone"
    return "up" if _has_bridge(id) and firewall.has_table(id) else "down"


def _has_bridge(id: str) -> bool:
    return Path(f"/sys/class/net/{id}").exists()


def _record_file(id: str) -> Path:
    if not re.fullmatch(rf"{_PREFIX}[0-9a-f]{{6}}", id):
        raise ValueError(f"{id!r} is not the id of a local network")
    return store.NETWORKS / f"{id}.json"


def choose_cidr(cidr: str | None, used: Iterable[IPv4Network]) -> str:
    """The range ``cidr``, or without one the first free range. Raises LocalError if it overlaps a ``used`` range.

    A machine's address must never hide an address that this computer reaches without Gantry.
    """
    used = list(used)
    if not cidr:
        return _first_free_cidr(used)
    network = _parse(cidr)
    if overlap := next((other for other in used if network.overlaps(other)), None):
        raise LocalError(
            f"The address range {cidr} overlaps {overlap}, which this computer already uses",
            "The machines' addresses must not hide others",
            "Choose another range (pulumi config set network 10.200.7.0/24), or let Gantry choose a free one: "
            "pulumi config rm network",
        )
    return str(network)


def _first_free_cidr(used: list[IPv4Network]) -> str:
    for block in CANDIDATES:
        for network in block.subnets(new_prefix=24):
            if not any(network.overlaps(other) for other in used):
                return str(network)
    raise LocalError(
        f"All address ranges in {', '.join(map(str, CANDIDATES))} are in use",
        "A local network needs a /24 that no route of this computer overlaps",
        "Name one: pulumi config set network 10.200.7.0/24",
    )


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
        "It must be a private IPv4 network and its length, without host bits",
        "For example: pulumi config set network 10.77.5.0/24",
    )


def routes() -> list[str]:
    """The ranges of this computer's routes, without the default route."""
    listing = json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]).stdout or "[]")
    return list(ranges_of(listing))


def ranges_of(routes: list[dict[str, str]]) -> Iterator[str]:
    """The ranges of the routes that ``ip -j route`` prints, without the default route."""
    for route in routes:
        destination = route.get("dst", "default")
        if destination != "default":
            yield str(ipaddress.IPv4Network(destination, strict=False))


def free_address(network: Network, used: Iterable[str]) -> str:
    """The first address after the gateway that isn't used. Raises LocalError without one."""
    used_addresses = {IPv4Address(address) for address in used}
    for address in list(IPv4Network(network.cidr).hosts())[1:]:
        if address not in used_addresses:
            return str(address)
    raise LocalError(
        f"The local network {network.cidr} has no free address left",
        f"It has room for {IPv4Network(network.cidr).num_addresses - 3} machines",
        "Choose a larger one, such as: pulumi config set network 10.77.0.0/16",
    )


def _bring_up(network: Network) -> None:
    """Completes the network in the kernel. A step that was done before has no effect."""
    if not _has_bridge(network.id):
        # Without a fixed hardware address, a bridge takes a machine's, and another one when that machine ends.
        address = computer.hardware_address(network.gateway)
        run(["ip", "link", "add", network.id, "address", address, "type", "bridge"])
    run(["ip", "address", "replace", f"{network.gateway}/{network.prefix}", "dev", network.id])
    run(["ip", "link", "set", network.id, "up"])
    firewall.add_rules(network.id, network.cidr)
    forwarding.enable()


def _remove(id: str) -> None:
    _record_file(id).unlink(missing_ok=True)
    firewall.remove_rules(id)
    if _has_bridge(id):
        run(["ip", "link", "delete", id])
    if not networks():
        forwarding.restore()
