"""DigitalOcean: networks, addresses and firewalls."""

from __future__ import annotations

import secrets
import uuid
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from tests.clouds.digitalocean_resource import NAME, StoredResource, check_region, detach_address
from tests.clouds.digitalocean_rules import cidr, every, ipv4, not_empty, tag
from tests.clouds.digitalocean_topology import port_range
from tests.clouds.faults import CloudBusy, CloudError, ProviderCrash
from tests.clouds.input_rules import all_of, at_most, each, one_of
from tests.clouds.resource_schema import ResourceSchema, Rule
from tests.clouds.simulated_cloud import Document, ResourceType, token_of

if TYPE_CHECKING:
    from tests.clouds.digitalocean import SimulatedDigitalOcean

_RULE = {"protocol!": str, "portRange": str}
_INBOUND_RULE = {
    **_RULE,
    "sourceAddresses": [str],
    "sourceLoadBalancerUids": [str],
    "sourceTags": [str],
    "sourceDropletIds": [int],
}
_OUTBOUND_RULE = {
    **_RULE,
    "destinationAddresses": [str],
    "destinationLoadBalancerUids": [str],
    "destinationTags": [str],
}
_PEER_LISTS = tuple(
    f"{direction}Rules.{side}{kind}"
    for direction, side in (("inbound", "source"), ("outbound", "destination"))
    for kind in ("Addresses", "LoadBalancerUids", "Tags", "DropletIds")
)


def _rules_of(direction: str, side: str) -> dict[str, Rule]:
    """What the provider refuses in the inbound or outbound rules of a firewall, by path."""
    rules = f"{direction}Rules"
    return {
        f"{rules}.protocol": one_of("tcp", "udp", "icmp"),
        f"{rules}.portRange": not_empty,
        f"{rules}.{side}Addresses": each(not_empty),
        f"{rules}.{side}LoadBalancerUids": each(not_empty),
        f"{rules}.{side}Tags": each(tag),
    }


def _ports_mistake(rule: Document) -> str | None:
    needs_ports = rule["protocol"] != "icmp" and not rule.get("portRange")
    return "`portRange` of a rule is required if its protocol is `tcp` or `udp`" if needs_ports else None


def _rules_mistake(inputs: Document) -> str | None:
    has_rules = inputs.get("inboundRules") or inputs.get("outboundRules")
    return None if has_rules else "At least one rule must be specified"


class Vpc(StoredResource):
    collection = "vpc"
    schema = ResourceSchema(
        inputs={"region!": str, "name": str, "ipRange": str, "description": str},
        outputs=("default", "vpcUrn"),
        replaces=("region", "ipRange"),
        name=NAME,
        computed=("ipRange",),
        rules={"region": not_empty, "ipRange": cidr, "description": at_most(255)},
    )
    name_pattern = r"[A-Za-z0-9.-]+"

    def new_document(self, inputs: Document) -> Document:
        check_region(inputs)
        try:
            network = IPv4Network(inputs.get("ipRange") or self._random_range())
        except ValueError as error:
            raise CloudError(f"422: {error}") from None
        if not network.is_private or not 16 <= network.prefixlen <= 28:
            raise CloudError(f"422: the range {network} isn't private, or not between /16 and /28")
        ranges = [vpc["ipRange"] for vpc in self.cloud.documents("vpc").values()]
        if overlap := next((cidr for cidr in ranges if network.overlaps(IPv4Network(cidr))), None):
            raise CloudError(f"422: This range/size overlaps with another VPC network in your account: {overlap}")
        self.cloud.check_unique("vpc", "name", inputs["name"])
        return {**inputs, "ipRange": str(network), "default": False, "vpcUrn": f"do:vpc:{uuid.uuid4()}"}

    def after_create(self, id: str) -> None:
        self.cloud.infrastructure.create_network(id, self.cloud.get("vpc", id)["ipRange"])

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        self.cloud.check_unique("vpc", "name", news["name"], except_id=id)

    def before_delete(self, id: str) -> None:
        if self.cloud.vpc_members(id):
            raise CloudBusy("409 Can not delete VPC with members")
        self.cloud.infrastructure.remove_network(id)

    def _random_range(self) -> str:
        return f"10.{100 + secrets.randbelow(40)}.{secrets.randbelow(16) * 16}.0/20"


class ReservedIp(StoredResource):
    collection = "reserved_ip"
    schema = ResourceSchema(
        inputs={"region!": str, "dropletId": int},
        outputs=("ipAddress", "reservedIpUrn"),
        replaces=("region",),
        spellings={"region": str.lower},
    )

    def new_document(self, inputs: Document) -> Document:
        check_region(inputs)
        self._check_droplet(inputs)
        address = self.cloud.new_public_address()
        return {**inputs, "id": address, "ipAddress": address, "reservedIpUrn": f"do:reservedip:{address}"}

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        self._check_droplet(news)

    def _check_droplet(self, inputs: Document) -> None:
        if "dropletId" in inputs:
            self.cloud.get("droplet", str(int(inputs["dropletId"])))


class ReservedIpAssignment(ResourceType):
    """The assignment of an address to a droplet. It has no document: the address's document names the droplet."""

    token = token_of("digitalocean", "index", "ReservedIpAssignment")
    schema = ResourceSchema(
        inputs={"dropletId!": int, "ipAddress!": str},
        replaces=("dropletId", "ipAddress"),
        rules={"dropletId": not_empty, "ipAddress": ipv4},
    )

    def __init__(self, cloud: SimulatedDigitalOcean) -> None:
        self.cloud = cloud

    def create(self, inputs: Document) -> str:
        with self.cloud.lock:
            droplet = self.cloud.get("droplet", str(int(inputs["dropletId"])))
            reserved = self.cloud.get("reserved_ip", inputs["ipAddress"])
            if reserved["region"] != droplet["region"]:
                raise CloudError("422: the reserved IP is in another region than the droplet")
            reserved["dropletId"] = int(inputs["dropletId"])
            self.cloud.save()
        self.cloud.apply_topology()
        return f"{int(inputs['dropletId'])}-{inputs['ipAddress']}-{uuid.uuid4()}"

    def read(self, id: str) -> Document | None:
        droplet, address = id.split("-")[:2]
        # Where the address is gone, the provider fails. It doesn't conclude that the assignment is gone.
        # https://github.com/digitalocean/terraform-provider-digitalocean/blob/main/digitalocean/reservedip/
        is_assigned = self.cloud.get("reserved_ip", address).get("dropletId") == int(droplet)
        return {"dropletId": int(droplet), "ipAddress": address} if is_assigned else None

    def update(self, id: str, olds: Document, news: Document) -> None:
        raise AssertionError("every change replaces it")

    def delete(self, id: str) -> None:
        droplet, address = id.split("-")[:2]
        with self.cloud.lock:
            reserved = self.cloud.get("reserved_ip", address)
            if "dropletId" not in reserved:
                # The provider reads the id of the droplet without a check that there is one:
                # https://github.com/digitalocean/terraform-provider-digitalocean/blob/main/digitalocean/reservedip/
                raise ProviderCrash("panic: runtime error: invalid memory address or nil pointer dereference")
            # The provider removes the assignment only if it is still that of its own droplet.
            if reserved["dropletId"] == int(droplet):
                detach_address(reserved, self.cloud.get("droplet", droplet))
                self.cloud.save()
        self.cloud.apply_topology()


class Firewall(StoredResource):
    collection = "firewall"
    schema = ResourceSchema(
        inputs={
            "name": str, "tags": [str], "dropletIds": [int], "inboundRules": [_INBOUND_RULE],
            "outboundRules": [_OUTBOUND_RULE],
        },
        outputs=("status",),
        name=NAME,
        sets=("tags", "dropletIds", "inboundRules", "outboundRules", *_PEER_LISTS),
        spellings=dict.fromkeys(("tags", *(path for path in _PEER_LISTS if path.endswith("Tags"))), str.lower),
        rules={
            "tags": each(tag),
            **_rules_of("inbound", "source"),
            **_rules_of("outbound", "destination"),
            "": all_of(
                _rules_mistake, every("inboundRules", _ports_mistake), every("outboundRules", _ports_mistake)
            ),
        },
    )  # fmt: skip
    name_pattern = r"[A-Za-z0-9][A-Za-z0-9.-]*"

    def new_document(self, inputs: Document) -> Document:
        rules = [*inputs.get("inboundRules", []), *inputs.get("outboundRules", [])]
        for name in [*inputs.get("tags", []), *(name for rule in rules for name in rule.get("sourceTags", []))]:
            self.cloud.get("tag", name)
        for id in inputs.get("dropletIds", []):
            self.cloud.get("droplet", str(int(id)))
        for rule in rules:
            try:
                port_range(rule.get("portRange", "all"))
            except ValueError:
                raise CloudError(f"422: {rule['portRange']!r} is not a valid port range") from None
            for id in rule.get("sourceLoadBalancerUids", []):
                self.cloud.get("load_balancer", id)
        return {**inputs, "status": "succeeded"}


TYPES = (Vpc, ReservedIp, ReservedIpAssignment, Firewall)
