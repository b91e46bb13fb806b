"""A DigitalOcean of our own: what its API keeps, refuses and answers, as far as servers and balancers need it."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, ClassVar

from tests.clouds.faults import CloudError
from tests.clouds.infrastructure import (
    Addresses,
    Balancer,
    Boot,
    Health,
    Instance,
    Listener,
    Paper,
    Rule,
    Target,
    View,
    World,
)
from tests.clouds.metadata_service import MAC
from tests.clouds.provider import Cloud, Type

Document = dict[str, Any]
REGIONS = {"ams3", "blr1", "fra1", "lon1", "nyc1", "nyc3", "sfo3", "sgp1", "syd1", "tor1"}
IMAGES = {"debian-12-x64", "debian-13-x64", "ubuntu-24-04-x64"}
SIZES = {f"s-{size}" for size in ("1vcpu-512mb-10gb", "1vcpu-1gb", "1vcpu-2gb", "2vcpu-2gb", "2vcpu-4gb", "4vcpu-8gb")}
USER_DATA_LIMIT = 64 * 1024


class DigitalOcean(Cloud):
    """One account; with a file its state outlives this process."""

    package, version = "digitalocean", "4.84.1"
    schema_versions: ClassVar = {
        f"digitalocean:index/{each}": 1
        for each in ("certificate:Certificate", "droplet:Droplet", "loadBalancer:LoadBalancer")
    }

    def __init__(self, world: World | None = None, file: Path | None = None) -> None:
        super().__init__()
        self.world: World = world or Paper()
        self.lock = threading.RLock()
        self._file = file
        self._addresses = Addresses()
        # VPC, URN and name of what was deleted, and until when.
        self._lingering: list[tuple[str, str, str, float]] = []
        known = json.loads(file.read_text()) if file and file.exists() else {}
        self.things: dict[str, dict[str, Document]] = known

    def configure(self, settings: dict[str, Any]) -> None:
        if not settings.get("token") and "DIGITALOCEAN_TOKEN" not in os.environ:
            raise CloudError("token must be set: pulumi config set digitalocean:token --secret, or DIGITALOCEAN_TOKEN")

    def types(self) -> Mapping[str, Type]:
        from tests.clouds import digitalocean_schemas

        return digitalocean_schemas.types(self)

    def functions(self) -> Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {
            "digitalocean:index/getSshKey:getSshKey": lambda args: self.one("ssh_key", "name", args["name"]),
            "digitalocean:index/getDomain:getDomain": lambda args: self.one("domain", "name", args["name"]),
            "digitalocean:index/getVpc:getVpc": lambda args: self.get("vpc", str(args["id"])),
        }

    def leftovers(self) -> list[str]:
        return [f"{kind} {id}" for kind, documents in self.things.items() for id in documents]

    # Documents, by kind and id.

    def all(self, kind: str) -> dict[str, Document]:
        return self.things.setdefault(kind, {})

    def get(self, kind: str, id: str) -> Document:
        if found := self.all(kind).get(str(id)):
            return found
        raise CloudError(f"404 not_found: the {kind} {id} could not be found")

    def add(self, kind: str, document: Document, id: str | None = None) -> str:
        """Keep it, before anything is done for it: a kill meanwhile leaves a record."""
        id = id or str(uuid.uuid4())
        self.all(kind)[id] = {**document, "id": id}
        self.save()
        return id

    def remove(self, kind: str, id: str) -> Document | None:
        found = self.all(kind).pop(id, None)
        self.save()
        return found

    def linger(self, gone: Document, urn: str) -> None:
        """What is deleted leaves its VPC some time after that."""
        until = time.monotonic() + self.faults.lingering
        self._lingering.append((gone["vpcUuid"], urn, gone["name"], until))

    def members(self, vpc: str) -> list[Document]:
        there = [
            (each[urn], each["name"])
            for kind, urn in (("droplet", "dropletUrn"), ("load_balancer", "loadBalancerUrn"))
            for each in self.all(kind).values()
            if each.get("vpcUuid") == vpc
        ]
        now = time.monotonic()
        gone = [(urn, name) for of, urn, name, until in self._lingering if of == vpc and now < until]
        return [{"urn": urn, "name": name} for urn, name in there + gone]

    def save(self) -> None:
        if self._file:
            # The engine makes several things at once.
            with self.lock:
                fresh = self._file.with_suffix(".new")
                fresh.write_text(json.dumps(self.things))
                fresh.replace(self._file)

    def unique(self, kind: str, field: str, value: object, but: str = "") -> None:
        if any(each[field] == value for id, each in self.all(kind).items() if id != but):
            raise CloudError(f"422 unprocessable_entity: {field} {value} is already in use by a {kind}")

    def one(self, kind: str, field: str, value: str) -> Document:
        for each in self.all(kind).values():
            if each[field] == value:
                return each
        raise CloudError(f"no {kind} with {field} {value} was found")

    # Addresses.

    def public_address(self) -> str:
        used = {each.get("ipv4Address") for each in self.all("droplet").values()}
        used |= {each["ip"] for each in self.all("load_balancer").values()}
        used |= set(self.all("reserved_ip"))
        return self._addresses.take(used)

    def private_address(self, vpc: str) -> str:
        network = IPv4Network(self.get("vpc", vpc)["ipRange"])
        used = {each.get("ipv4AddressPrivate") for each in self.all("droplet").values()}
        used |= {each["node"] for each in self.all("load_balancer").values()}
        # The first is the gateway's.
        first = int(network.network_address) + 2
        for number in range(first, int(network.broadcast_address)):
            if str(IPv4Address(number)) not in used:
                return str(IPv4Address(number))
        raise CloudError(f"422: the VPC {vpc} has no address left")

    # What all that means for machines and packets.

    def show(self) -> None:
        # Read and shown in one go: else an older view could be shown after a newer one.
        with self.lock:
            instances = tuple(self._instance(each) for each in self.all("droplet").values() if "ipv4Address" in each)
            balancers = tuple(self._balancer(each) for each in self.all("load_balancer").values())
            self.world.show(View(instances=instances, balancers=balancers))

    def _instance(self, droplet: Document) -> Instance:
        reserved = [ip for ip, each in self.all("reserved_ip").items() if each.get("dropletId") == int(droplet["id"])]
        firewalls = [each for each in self.all("firewall").values() if self._covers(each, droplet)]
        inbound, outbound = None, None
        if firewalls:
            inbound = tuple(self._rule(rule, "source") for each in firewalls for rule in each.get("inboundRules", []))
            outbound = tuple(
                self._rule(rule, "destination") for each in firewalls for rule in each.get("outboundRules", [])
            )
        return Instance(
            id=droplet["id"],
            private=droplet["ipv4AddressPrivate"],
            publics=(droplet["ipv4Address"], *reserved),
            inbound=inbound,
            outbound=outbound,
        )

    def _covers(self, firewall: Document, droplet: Document) -> bool:
        by_id = int(droplet["id"]) in [int(each) for each in firewall.get("dropletIds", [])]
        return by_id or bool(set(firewall.get("tags", [])) & set(droplet.get("tags", [])))

    def _rule(self, rule: Document, side: str) -> Rule:
        low, high = ports(rule.get("portRange", "all"))
        peers = [each for each in rule.get(f"{side}Addresses", []) if ":" not in each]
        peers += [self.get("load_balancer", each)["node"] for each in rule.get(f"{side}LoadBalancerUids", [])]
        tags = set(rule.get(f"{side}Tags", []))
        ids = {int(each) for each in rule.get(f"{side}DropletIds", [])}
        for droplet in self.all("droplet").values():
            if int(droplet["id"]) in ids or tags & set(droplet.get("tags", [])):
                peers.append(droplet["ipv4AddressPrivate"])
        return Rule(protocol=rule["protocol"], low=low, high=high, peers=tuple(peers))

    def _balancer(self, balancer: Document) -> Balancer:
        check = balancer.get("healthcheck", {})
        forwarding: list[Document] = balancer.get("forwardingRules", [])
        redirect = balancer.get("redirectHttpToHttps", False)
        return Balancer(
            id=balancer["id"],
            network=balancer["vpcUuid"],
            public=balancer["ip"],
            nodes=(balancer["node"],),
            listeners=tuple(self._listener(each, redirect) for each in forwarding),
            targets=tuple(
                Target(id=each["id"], address=each["ipv4AddressPrivate"], port=int(forwarding[0]["targetPort"]))
                for each in self.behind(balancer)
            ),
            health=Health(
                path=check.get("path", "/") if check.get("protocol", "http") == "http" else None,
                port=int(check.get("port", 80)),
                interval=int(check.get("checkIntervalSeconds", 10)),
                timeout=int(check.get("responseTimeoutSeconds", 5)),
                healthy=int(check.get("healthyThreshold", 5)),
                unhealthy=int(check.get("unhealthyThreshold", 3)),
            ),
            idle_seconds=int(balancer.get("httpIdleTimeoutSeconds", 60)),
        )

    def behind(self, balancer: Document) -> list[Document]:
        """The droplets that a balancer passes requests to."""
        ids = {int(each) for each in balancer.get("dropletIds", [])}
        tag = balancer.get("dropletTag")
        there = [each for each in self.all("droplet").values() if "ipv4Address" in each]
        return [each for each in there if int(each["id"]) in ids or (tag and tag in each.get("tags", []))]

    def _listener(self, rule: Document, redirect: bool) -> Listener:
        protocol = rule["entryProtocol"]
        if protocol == "http" and redirect:
            return Listener(port=int(rule["entryPort"]), redirect_port=443)
        pem = None
        if protocol in ("https", "http2"):
            pem = self.one("certificate", "name", rule["certificateName"])["pem"]
        return Listener(port=int(rule["entryPort"]), protocol="https" if pem else "http", certificate=pem)


def ports(given: str) -> tuple[int, int]:
    """`22`, `8000-9000`, `all` or `0`."""
    if given in ("all", "0", ""):
        return 0, 65535
    low, _, high = given.partition("-")
    return int(low), int(high or low)


def boot_of(droplet: Document, keys: Iterable[str], gateway: str) -> Boot:
    """The machine of a droplet, with what its metadata service says."""
    private = droplet["ipv4AddressPrivate"]
    metadata = {
        "droplet_id": int(droplet["id"]),
        "hostname": droplet["name"],
        "region": droplet["region"],
        "vendor_data": "",
        "public_keys": list(keys),
        "tags": droplet.get("tags", []),
        "dns": {"nameservers": []},
        "interfaces": {
            kind: [
                {
                    "mac": MAC,
                    "type": kind,
                    "ipv4": {"ip_address": address, "netmask": "255.255.240.0", "gateway": gateway},
                }
            ]
            for kind, address in (("private", private), ("public", droplet["ipv4Address"]))
        },
        "user_data": droplet.get("userData", ""),
    }
    return Boot(
        id=droplet["id"], hostname=droplet["name"], network=droplet["vpcUuid"], address=private,
        user_data=droplet.get("userData", ""), metadata=metadata,
    )  # fmt: skip


def new_droplet_id() -> str:
    return str(400_000_000 + secrets.randbelow(100_000_000))
