"""What the verbs of the local target's resources mean; the providers in resources.py only pass them on."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import pulumi.runtime.rpc as rpc

from components.local import bridge, host, machine

Properties = dict[str, Any]

# What a preview shows of what is not as it was left: "running" => "running again (found stopped)".
_MENDED = {
    "stopped": "running again (found stopped)",
    "unreachable": "running again (found without its network)",
    "down": "up again (found down)",
}
_LOST = "made anew (found gone)"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an update would do: nothing, mend in place, or replace because of these properties."""

    changes: bool
    replaces: tuple[str, ...] = ()


def check_network(olds: Properties, news: Properties) -> Properties:
    """Completes the inputs; the id is chosen here, so that later checks can look at the real one."""
    host.require_root_and_tools()
    id = olds.get("network_id")
    if not id:
        return {**news, "network_id": bridge.new_id()}
    known = bridge.find(id)
    bridge.claim(id)
    status = bridge.status(id)
    shown = {"range": known.cidr, "gateway": known.gateway} if known else {}
    return {**news, **shown, "network_id": id, "status": _shown(status, "up")}


def diff_network(id: str, olds: Properties, news: Properties) -> Change:
    return network_change(olds, news, bridge.status(id))


def network_change(olds: Properties, news: Properties, status: bridge.Status) -> Change:
    if news.get("cidr") and news["cidr"] != olds.get("range"):
        return Change(changes=True, replaces=("cidr",))
    return _by_status(status)


def create_network(props: Properties) -> Properties:
    for other in bridge.listed():
        if other.owner == props["owner"] and not other.claimed and not machine.on_network(other.id):
            bridge.destroy(other.id)
    network = bridge.create(owner=props["owner"], cidr=props.get("cidr"), id=props["network_id"])
    return _network_outputs(network, props)


def update_network(id: str, news: Properties) -> Properties:
    return _network_outputs(bridge.ensure_up(id), news)


def read_network(id: str, props: Properties) -> Properties | None:
    network = bridge.find(id)
    return {**_network_outputs(network, props), "status": bridge.status(id)} if network else None


def _network_outputs(network: bridge.Network, props: Properties) -> Properties:
    kept = {key: props[key] for key in ("owner", "cidr") if props.get(key)}
    return {
        **kept,
        "network_id": network.id,
        "range": network.cidr,
        "gateway": network.gateway,
        "status": "up",
    }


def check_machine(olds: Properties, news: Properties) -> Properties:
    host.require_root_and_tools()
    id = olds.get("machine_id")
    if not id:
        return {**news, "machine_id": machine.new_id()}
    machine.claim(id)
    spec = machine.find(id)
    address = {"address": spec.address} if spec else {}
    return {**news, **address, "machine_id": id, "status": _shown(machine.status(id), "running")}


def diff_machine(id: str, olds: Properties, news: Properties) -> Change:
    return machine_change(olds, news, machine.status(id))


def machine_change(olds: Properties, news: Properties, status: machine.Status) -> Change:
    """As for a droplet: another network, name, user-data or pinned image is another machine."""
    replaces = [key for key in ("network", "hostname") if news.get(key) != olds.get(key)]
    user_data = news.get("user_data")
    if user_data == rpc.UNKNOWN or digest(user_data or "") != olds.get("user_data_sha256"):
        replaces.append("user_data")
    # Without a pin a newer base image is for new machines only, and no reason to rebuild servers.
    if news.get("image") and news["image"] != olds.get("built_from"):
        replaces.append("image")
    if replaces:
        return Change(changes=True, replaces=tuple(replaces))
    return _by_status(status)


def create_machine(props: Properties) -> Properties:
    owner = f"{props['network']}/{props['hostname']}"
    machine.destroy_orphans(owner)
    spec = machine.create(
        id=props["machine_id"],
        owner=owner,
        network=props["network"],
        hostname=props["hostname"],
        user_data=decoded(props.get("user_data") or ""),
        image_digest=props.get("image"),
        progress=lambda line: print(line, flush=True),
    )
    return _machine_outputs(spec, digest(props.get("user_data") or ""))


def update_machine(id: str, olds: Properties) -> Properties:
    machine.boot(id)
    # A server that served is to serve again when this is done.
    machine.wait_for_services(id)
    spec = machine.find(id)
    assert spec, "a machine that has just been booted has a record"
    return _machine_outputs(spec, olds["user_data_sha256"])


def read_machine(id: str, props: Properties) -> Properties | None:
    spec = machine.find(id)
    status = machine.status(id)
    if spec is None or status in ("gone", "half-made"):
        return None
    return {**_machine_outputs(spec, props["user_data_sha256"]), "status": status}


def _machine_outputs(spec: machine.Spec, user_data_sha256: str) -> Properties:
    return {
        "machine_id": spec.id,
        "network": spec.network,
        "hostname": spec.hostname,
        "address": spec.address,
        "built_from": spec.image,
        "user_data_sha256": user_data_sha256,
        "status": "running",
    }


def digest(user_data: str) -> str:
    return hashlib.sha256(user_data.encode()).hexdigest()


def decoded(user_data: str) -> bytes:
    """User-data as text, or compressed and in base64, as clouds take it: gzip's first bytes tell."""
    return base64.b64decode(user_data) if user_data.startswith("H4sI") else user_data.encode()


def _shown(status: str, good: str) -> str:
    return good if status == good else _MENDED.get(status, _LOST)


def _by_status(status: str) -> Change:
    if status in _MENDED:
        return Change(changes=True)
    if status in ("gone", "half-made"):
        return Change(changes=True, replaces=("status",))
    return Change(changes=False)
