"""The operations of the local target's network resource. lifecycle.Lifecycle describes them."""

from __future__ import annotations

from components.local import bridge, computer, lifecycle, machine
from components.local.lifecycle import Change, Properties

ID_KEY = "network_id"


def check(olds: Properties, news: Properties) -> Properties:
    # The id is chosen here and not in `create`, so that the next `check` can look at the network.
    computer.require_root_and_tools()
    id = olds.get(ID_KEY)
    if not id:
        return {**news, ID_KEY: bridge.new_id()}
    bridge.claim(id)
    network = bridge.find(id)
    addresses = {"range": network.cidr, "gateway": network.gateway} if network else {}
    return {**news, **addresses, ID_KEY: id, "status": lifecycle.status_in_preview(bridge.status(id), "up")}


def diff(id: str, olds: Properties, news: Properties) -> Change:
    return change(olds, news, bridge.status(id))


def change(olds: Properties, news: Properties, status: bridge.Status) -> Change:
    """The change of a network with this status. Only another range replaces it."""
    if news.get("cidr") and news["cidr"] != olds.get("range"):
        return Change(changes=True, replaces=("cidr",))
    return lifecycle.change_by_status(status)


def create(props: Properties) -> Properties:
    for network in bridge.networks():
        if network.owner == props["owner"] and not network.claimed and not machine.on_network(network.id):
            bridge.destroy(network.id)
    return _outputs(bridge.create(owner=props["owner"], cidr=props.get("cidr"), id=props[ID_KEY]), props)


def update(id: str, olds: Properties, news: Properties) -> Properties:
    return _outputs(bridge.ensure_up(id), news)


def read(id: str, props: Properties) -> Properties | None:
    network = bridge.find(id)
    return {**_outputs(network, props), "status": bridge.status(id)} if network else None


def delete(id: str) -> None:
    machine.destroy_network(id)


def _outputs(network: bridge.Network, props: Properties) -> Properties:
    inputs = {key: props[key] for key in ("owner", "cidr") if props.get(key)}
    return {
        **inputs,
        ID_KEY: network.id,
        "range": network.cidr,
        "gateway": network.gateway,
        "status": "up",
    }
