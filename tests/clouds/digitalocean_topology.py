"""The topology of a simulated DigitalOcean account: its droplets, firewalls and balancers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds.infrastructure import Balancer, HealthCheck, Listener, Rule, Server, Target, Topology
from tests.clouds.simulated_cloud import Document

if TYPE_CHECKING:
    from tests.clouds.digitalocean import SimulatedDigitalOcean


def read_topology(cloud: SimulatedDigitalOcean) -> Topology:
    droplets = _droplets_with_address(cloud)
    balancers = cloud.documents("load_balancer").values()
    return Topology(
        servers=tuple(_server(cloud, droplet) for droplet in droplets),
        balancers=tuple(_balancer(cloud, balancer) for balancer in balancers),
    )


def port_range(text: str) -> tuple[int, int]:
    """The first and the last port of ``22``, ``8000-9000``, ``all`` or ``0``."""
    if text in ("all", "0", ""):
        return 0, 65535
    low, _, high = text.partition("-")
    return int(low), int(high or low)


def _droplets_with_address(cloud: SimulatedDigitalOcean) -> list[Document]:
    return [droplet for droplet in cloud.documents("droplet").values() if "ipv4Address" in droplet]


def _server(cloud: SimulatedDigitalOcean, droplet: Document) -> Server:
    id = int(droplet["id"])
    reserved_addresses = [
        address for address, reserved in cloud.documents("reserved_ip").items() if reserved.get("dropletId") == id
    ]
    firewalls = [firewall for firewall in cloud.documents("firewall").values() if _covers(firewall, droplet)]
    inbound = [rule for firewall in firewalls for rule in firewall.get("inboundRules", [])]
    outbound = [rule for firewall in firewalls for rule in firewall.get("outboundRules", [])]
    return Server(
        id=droplet["id"],
        private_address=droplet["ipv4AddressPrivate"],
        public_addresses=(droplet["ipv4Address"], *reserved_addresses),
        inbound=tuple(_rule(cloud, rule, "source") for rule in inbound) if firewalls else None,
        outbound=tuple(_rule(cloud, rule, "destination") for rule in outbound) if firewalls else None,
    )


def _covers(firewall: Document, droplet: Document) -> bool:
    has_id = int(droplet["id"]) in [int(id) for id in firewall.get("dropletIds", [])]
    return has_id or bool(set(firewall.get("tags", [])) & set(droplet.get("tags", [])))


def _rule(cloud: SimulatedDigitalOcean, rule: Document, side: str) -> Rule:
    """``side`` is "source" or "destination"."""
    low_port, high_port = port_range(rule.get("portRange", "all"))
    peers = [address for address in rule.get(f"{side}Addresses", []) if ":" not in address]
    balancer_ids = rule.get(f"{side}LoadBalancerUids", [])
    peers += [cloud.get("load_balancer", id)["nodeAddress"] for id in balancer_ids]
    tags = set(rule.get(f"{side}Tags", []))
    ids = {int(id) for id in rule.get(f"{side}DropletIds", [])}
    for droplet in cloud.documents("droplet").values():
        if int(droplet["id"]) in ids or tags & set(droplet.get("tags", [])):
            peers.append(droplet["ipv4AddressPrivate"])
    return Rule(protocol=rule["protocol"], low_port=low_port, high_port=high_port, peers=tuple(peers))


def _balancer(cloud: SimulatedDigitalOcean, balancer: Document) -> Balancer:
    rules: list[Document] = balancer.get("forwardingRules", [])
    redirects_to_https = balancer.get("redirectHttpToHttps", False)
    return Balancer(
        id=balancer["id"],
        network=balancer["vpcUuid"],
        public_address=balancer["ip"],
        node_addresses=(balancer["nodeAddress"],),
        listeners=tuple(_listener(cloud, rule, redirects_to_https) for rule in rules),
        targets=tuple(
            Target(id=droplet["id"], address=droplet["ipv4AddressPrivate"], port=int(rules[0]["targetPort"]))
            for droplet in _target_droplets(cloud, balancer)
        ),
        health_check=_health_check(balancer.get("healthcheck", {})),
        idle_seconds=int(balancer.get("httpIdleTimeoutSeconds", 60)),
    )


def _health_check(inputs: Document) -> HealthCheck:
    return HealthCheck(
        path=inputs.get("path", "/") if inputs.get("protocol", "http") == "http" else None,
        port=int(inputs.get("port", 80)),
        interval=int(inputs.get("checkIntervalSeconds", 10)),
        timeout=int(inputs.get("responseTimeoutSeconds", 5)),
        healthy_threshold=int(inputs.get("healthyThreshold", 5)),
        unhealthy_threshold=int(inputs.get("unhealthyThreshold", 3)),
    )


def _target_droplets(cloud: SimulatedDigitalOcean, balancer: Document) -> list[Document]:
    """The droplets that a balancer has by their ids or by a tag."""
    ids = {int(id) for id in balancer.get("dropletIds", [])}
    tag = balancer.get("dropletTag")
    return [
        droplet
        for droplet in _droplets_with_address(cloud)
        if int(droplet["id"]) in ids or (tag and tag in droplet.get("tags", []))
    ]


def _listener(cloud: SimulatedDigitalOcean, rule: Document, redirects_to_https: bool) -> Listener:
    protocol = rule["entryProtocol"]
    if protocol == "http" and redirects_to_https:
        return Listener(port=int(rule["entryPort"]), redirect_port=443)
    pem = None
    if protocol in ("https", "http2"):
        pem = cloud.find("certificate", "name", rule["certificateName"])["pem"]
    return Listener(port=int(rule["entryPort"]), protocol="https" if pem else "http", certificate=pem)
