"""A simulated DigitalOcean: an account with the documents of its servers, balancers and other resources."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import ClassVar

from tests.clouds import (
    digitalocean_balancing,
    digitalocean_compute,
    digitalocean_dns,
    digitalocean_network,
    digitalocean_projects,
    digitalocean_spaces,
    digitalocean_volumes,
)
from tests.clouds.digitalocean_topology import read_topology
from tests.clouds.faults import CloudError
from tests.clouds.infrastructure import AddressPool, Infrastructure
from tests.clouds.simulated_cloud import Document, Function, ResourceType, SimulatedCloud

TYPE_MODULES = (
    digitalocean_network,
    digitalocean_compute,
    digitalocean_balancing,
    digitalocean_dns,
    digitalocean_projects,
    digitalocean_spaces,
    digitalocean_volumes,
)


class SimulatedDigitalOcean(SimulatedCloud):
    """One account. With a ``file``, it outlives this process.

    It stores documents in collections such as ``droplet``, each under its id.
    """

    package, version = "digitalocean", "4.84.1"
    schema_versions: ClassVar = {
        f"digitalocean:index/{type_}": 1
        for type_ in ("certificate:Certificate", "droplet:Droplet", "loadBalancer:LoadBalancer")
    }

    def __init__(self, infrastructure: Infrastructure | None = None, file: Path | None = None) -> None:
        super().__init__(infrastructure)
        self.lock = threading.RLock()
        self._file = file
        self._address_pool = AddressPool()
        # VPC, URN, name and time of leaving of deleted servers and balancers.
        self._leaving_members: list[tuple[str, str, str, float]] = []
        self.collections: dict[str, dict[str, Document]] = (
            json.loads(file.read_text()) if file and file.exists() else {}
        )

    def configure(self, settings: Document) -> None:
        if not settings.get("token") and "DIGITALOCEAN_TOKEN" not in os.environ:
            raise CloudError("token must be set: pulumi config set digitalocean:token --secret, or DIGITALOCEAN_TOKEN")

    def types(self) -> Mapping[str, ResourceType]:
        return {type_.token: type_(self) for module in TYPE_MODULES for type_ in module.TYPES}

    def functions(self) -> Mapping[str, Function]:
        return {
            "digitalocean:index/getSshKey:getSshKey": lambda args: self.find("ssh_key", "name", args["name"]),
            "digitalocean:index/getDomain:getDomain": lambda args: self.find("domain", "name", args["name"]),
            "digitalocean:index/getVpc:getVpc": lambda args: self.get("vpc", str(args["id"])),
        }

    def leftovers(self) -> list[str]:
        return [f"{collection} {id}" for collection, documents in self.collections.items() for id in documents]

    # Documents.

    def documents(self, collection: str) -> dict[str, Document]:
        """The documents of a collection by their id."""
        return self.collections.setdefault(collection, {})

    def get(self, collection: str, id: str) -> Document:
        if document := self.documents(collection).get(str(id)):
            return document
        raise CloudError(f"404 not_found: the {collection} {id} could not be found")

    def find(self, collection: str, field: str, value: str) -> Document:
        """The first document with this value."""
        for document in self.documents(collection).values():
            if document[field] == value:
                return document
        raise CloudError(f"no {collection} with {field} {value} was found")

    def add(self, collection: str, document: Document, id: str | None = None) -> str:
        """Add a document and write the file; its id. Do this first, so that a kill afterwards leaves a record."""
        id = id or str(uuid.uuid4())
        self.documents(collection)[id] = {**document, "id": id}
        self.save()
        return id

    def remove(self, collection: str, id: str) -> Document | None:
        document = self.documents(collection).pop(id, None)
        self.save()
        return document

    def save(self) -> None:
        if self._file:
            # The engine creates several resources at once.
            with self.lock:
                new_file = self._file.with_suffix(".new")
                new_file.write_text(json.dumps(self.collections))
                new_file.replace(self._file)

    def check_unique(self, collection: str, field: str, value: object, *, except_id: str = "") -> None:
        documents = self.documents(collection).items()
        if any(document[field] == value for id, document in documents if id != except_id):
            raise CloudError(f"422 unprocessable_entity: {field} {value} is already in use by a {collection}")

    # Members of a VPC.

    def vpc_members(self, vpc: str) -> list[Document]:
        """URN and name of the servers and balancers in a VPC, and of those that were deleted a moment ago."""
        members = [
            (document[urn_key], document["name"])
            for collection, urn_key in (("droplet", "dropletUrn"), ("load_balancer", "loadBalancerUrn"))
            for document in self.documents(collection).values()
            if document.get("vpcUuid") == vpc
        ]
        now = time.monotonic()
        members += [
            (urn, name) for vpc_of_member, urn, name, end in self._leaving_members if vpc_of_member == vpc and now < end
        ]
        return [{"urn": urn, "name": name} for urn, name in members]

    def delay_vpc_exit(self, deleted_document: Document, urn: str) -> None:
        """A deleted server or balancer remains a member of its VPC for some time."""
        end = time.monotonic() + self.faults.vpc_exit_seconds
        self._leaving_members.append((deleted_document["vpcUuid"], urn, deleted_document["name"], end))

    # Addresses.

    def new_public_address(self) -> str:
        used = {droplet.get("ipv4Address") for droplet in self.documents("droplet").values()}
        used |= {balancer["ip"] for balancer in self.documents("load_balancer").values()}
        used |= set(self.documents("reserved_ip"))
        return self._address_pool.take(used)

    def new_private_address(self, vpc: str) -> str:
        network = IPv4Network(self.get("vpc", vpc)["ipRange"])
        used = {droplet.get("ipv4AddressPrivate") for droplet in self.documents("droplet").values()}
        used |= {balancer["nodeAddress"] for balancer in self.documents("load_balancer").values()}
        # The gateway has the first address.
        first = int(network.network_address) + 2
        for number in range(first, int(network.broadcast_address)):
            if str(IPv4Address(number)) not in used:
                return str(IPv4Address(number))
        raise CloudError(f"422: the VPC {vpc} has no address left")

    def apply_topology(self) -> None:
        # Both steps under one lock. Otherwise an older topology could be applied after a newer one.
        with self.lock:
            self.infrastructure.apply(read_topology(self))
