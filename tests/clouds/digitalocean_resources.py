"""What DigitalOcean does with networks, servers and their addresses: how it makes, changes and refuses them."""

from __future__ import annotations

import base64
import hashlib
import secrets
import uuid
from ipaddress import IPv4Network

from tests.clouds.digitalocean import (
    IMAGES,
    REGIONS,
    SIZES,
    USER_DATA_LIMIT,
    DigitalOcean,
    Document,
    boot_of,
    new_droplet_id,
    ports,
)
from tests.clouds.faults import CloudError
from tests.clouds.provider import Type
from tests.clouds.resource_schema import Kind


class Kept(Type):
    """Documents of one kind, most of which need nothing besides being kept."""

    # Whether the provider takes one that is gone already for deleted.
    forgiving = False

    def __init__(self, cloud: DigitalOcean, of: str, kind: Kind) -> None:
        self.cloud, self.of, self.kind = cloud, of, kind

    def create(self, inputs: Document) -> str:
        with self.cloud.lock:
            document = self.made(inputs)
            id = self.cloud.add(self.of, document, document.pop("id", None))
        try:
            self.settle(id)
        except BaseException:
            self.delete(id)
            raise
        return id

    def read(self, id: str) -> Document | None:
        found = self.cloud.all(self.of).get(id)
        return {key: value for key, value in found.items() if key not in ("id", "node", "pem")} if found else None

    def update(self, id: str, olds: Document, news: Document) -> None:
        with self.cloud.lock:
            self.changed(id, olds, news)
            kept = {key: value for key, value in self.cloud.get(self.of, id).items() if key not in olds}
            self.cloud.all(self.of)[id] = {**kept, **news}
            self.cloud.save()
        self.cloud.show()

    def delete(self, id: str) -> None:
        with self.cloud.lock:
            if id in self.cloud.all(self.of):
                self.free(id)
                self.left(self.cloud.remove(self.of, id) or {})
            elif not self.forgiving:
                raise CloudError(f"Error deleting {self.of}: 404 The resource you were accessing could not be found.")
        self.cloud.show()

    # What a kind does besides.

    def made(self, inputs: Document) -> Document:
        """The document of a new one, checked as the cloud would."""
        return inputs

    def settle(self, id: str) -> None:
        """What follows once it is written down."""
        self.cloud.show()

    def changed(self, id: str, olds: Document, news: Document) -> None:
        self.made({**news})

    def free(self, id: str) -> None:
        """Refuses to let it go while others need it."""

    def left(self, gone: Document) -> None:
        """What follows its deletion."""


class Vpcs(Kept):
    def made(self, inputs: Document) -> Document:
        region(inputs)
        range_ = IPv4Network(inputs.get("ipRange") or self._free())
        if not range_.is_private or not 16 <= range_.prefixlen <= 28:
            raise CloudError(f"422: the range {range_} isn't private, or not between /16 and /28")
        others = [each["ipRange"] for each in self.cloud.all("vpc").values()]
        if clash := next((each for each in others if range_.overlaps(IPv4Network(each))), None):
            raise CloudError(f"422: This range/size overlaps with another VPC network in your account: {clash}")
        self.cloud.unique("vpc", "name", inputs["name"])
        return {**inputs, "ipRange": str(range_), "default": False, "vpcUrn": f"do:vpc:{uuid.uuid4()}"}

    def _free(self) -> str:
        return f"10.{100 + secrets.randbelow(40)}.{secrets.randbelow(16) * 16}.0/20"

    def settle(self, id: str) -> None:
        self.cloud.world.network(id, self.cloud.get("vpc", id)["ipRange"])

    def changed(self, id: str, olds: Document, news: Document) -> None:
        self.cloud.unique("vpc", "name", news["name"], but=id)

    def free(self, id: str) -> None:
        if self.cloud.members(id):
            raise CloudError("Error deleting VPC: 409 Can not delete VPC with members")
        self.cloud.world.remove_network(id)


class SshKeys(Kept):
    def made(self, inputs: Document) -> Document:
        words = inputs["publicKey"].split()
        if len(words) < 2:
            raise CloudError("422: Key invalid, key should be of the format `type key [comment]`")
        digest = hashlib.md5(base64.b64decode(words[1]), usedforsecurity=False).hexdigest()
        fingerprint = ":".join(digest[place : place + 2] for place in range(0, 32, 2))
        if any(each["fingerprint"] == fingerprint for each in self.cloud.all("ssh_key").values()):
            raise CloudError("422: SSH Key is already in use on your account")
        return {**inputs, "fingerprint": fingerprint, "id": str(secrets.randbelow(10**8))}

    def changed(self, id: str, olds: Document, news: Document) -> None:
        pass


class Droplets(Kept):
    def made(self, inputs: Document) -> Document:
        region(inputs)
        among("image", inputs["image"], IMAGES)
        among("size", inputs["size"], SIZES)
        if len(inputs.get("userData", "").encode()) > USER_DATA_LIMIT:
            raise CloudError("422: user_data is too long (maximum is 64 KiB)")
        for given in inputs.get("sshKeys", []):
            self._key(given)
        vpc = self.cloud.get("vpc", inputs.get("vpcUuid", "default"))
        if vpc["region"] != inputs["region"]:
            raise CloudError("422: the VPC is in another region than the droplet")
        for tag in inputs.get("tags", []):
            # A droplet makes the tags that it wears.
            if tag not in self.cloud.all("tag"):
                self.cloud.add("tag", {"name": tag, "implied": True}, tag)
        id = new_droplet_id()
        return {
            **inputs,
            "id": id,
            "ipv4Address": self.cloud.public_address(),
            "ipv4AddressPrivate": self.cloud.private_address(inputs["vpcUuid"]),
            "dropletUrn": f"do:droplet:{id}",
            "status": "new",
            "locked": False,
        }

    def settle(self, id: str) -> None:
        droplet = self.cloud.get("droplet", id)
        self.cloud.show()
        keys = [self._key(each)["publicKey"] for each in droplet.get("sshKeys", [])]
        self.cloud.world.boot(boot_of(droplet, keys, _gateway(self.cloud, droplet)))
        droplet["status"] = "active"
        self.cloud.save()

    def changed(self, id: str, olds: Document, news: Document) -> None:
        among("size", news["size"], SIZES)
        if olds["size"] != news["size"]:
            self.cloud.world.restart(id)

    def free(self, id: str) -> None:
        self.cloud.world.destroy(id)
        for reserved in self.cloud.all("reserved_ip").values():
            if reserved.get("dropletId") == int(id):
                reserved.pop("dropletId")
        # A balancer and a firewall forget a droplet that is gone.
        for kind in ("load_balancer", "firewall"):
            for each in self.cloud.all(kind).values():
                if "dropletIds" in each:
                    each["dropletIds"] = [other for other in each["dropletIds"] if int(other) != int(id)]
        implied = [name for name, tag in self.cloud.all("tag").items() if tag.get("implied")]
        worn = {tag for other, each in self.cloud.all("droplet").items() if other != id for tag in each.get("tags", [])}
        for name in set(implied) - worn:
            self.cloud.remove("tag", name)

    def left(self, gone: Document) -> None:
        self.cloud.linger(gone, gone["dropletUrn"])

    def _key(self, given: object) -> Document:
        for id, key in self.cloud.all("ssh_key").items():
            if str(given) in (id, key["fingerprint"]):
                return key
        raise CloudError(f"422: {given} are invalid key identifiers for Droplet creation.")


class ReservedIps(Kept):
    def made(self, inputs: Document) -> Document:
        region(inputs)
        if "dropletId" in inputs:
            self.cloud.get("droplet", str(int(inputs["dropletId"])))
        address = self.cloud.public_address()
        return {**inputs, "id": address, "ipAddress": address, "reservedIpUrn": f"do:reservedip:{address}"}

    def changed(self, id: str, olds: Document, news: Document) -> None:
        if "dropletId" in news:
            self.cloud.get("droplet", str(int(news["dropletId"])))


class Assignments(Type):
    """An address that points to a droplet; both change with a new assignment alone."""

    kind = Kind(inputs={"dropletId!": int, "ipAddress!": str}, replaces=("dropletId", "ipAddress"))

    def __init__(self, cloud: DigitalOcean) -> None:
        self.cloud = cloud

    def create(self, inputs: Document) -> str:
        with self.cloud.lock:
            droplet = self.cloud.get("droplet", str(int(inputs["dropletId"])))
            reserved = self.cloud.get("reserved_ip", inputs["ipAddress"])
            if reserved["region"] != droplet["region"]:
                raise CloudError("422: the reserved IP is in another region than the droplet")
            reserved["dropletId"] = int(inputs["dropletId"])
            self.cloud.save()
        self.cloud.show()
        return f"{int(inputs['dropletId'])}-{inputs['ipAddress']}-{uuid.uuid4()}"

    def read(self, id: str) -> Document | None:
        droplet, address = id.split("-")[:2]
        # Where the address itself is gone, the provider fails: it doesn't take that for an assignment that is gone.
        # https://github.com/digitalocean/terraform-provider-digitalocean/blob/main/digitalocean/reservedip/
        assigned = self.cloud.get("reserved_ip", address).get("dropletId") == int(droplet)
        return {"dropletId": int(droplet), "ipAddress": address} if assigned else None

    def update(self, id: str, olds: Document, news: Document) -> None:
        raise AssertionError("every change replaces it")

    def delete(self, id: str) -> None:
        droplet, address = id.split("-")[:2]
        with self.cloud.lock:
            reserved = self.cloud.get("reserved_ip", address)
            if "dropletId" not in reserved:
                # It asks which droplet that is:
                # https://github.com/digitalocean/terraform-provider-digitalocean/blob/main/digitalocean/reservedip/
                raise CloudError("panic: runtime error: invalid memory address or nil pointer dereference")
            # The provider takes the address away only from the droplet that it knows of.
            if reserved["dropletId"] == int(droplet):
                reserved.pop("dropletId")
                self.cloud.save()
        self.cloud.show()


class Firewalls(Kept):
    def made(self, inputs: Document) -> Document:
        rules = [*inputs.get("inboundRules", []), *inputs.get("outboundRules", [])]
        if not rules:
            raise CloudError("422: At least one rule must be specified")
        for tag in [*inputs.get("tags", []), *(tag for rule in rules for tag in rule.get("sourceTags", []))]:
            self.cloud.get("tag", tag)
        for id in inputs.get("dropletIds", []):
            self.cloud.get("droplet", str(int(id)))
        for rule in rules:
            among("protocol", rule["protocol"], {"tcp", "udp", "icmp"})
            if rule["protocol"] != "icmp" and not rule.get("portRange"):
                raise CloudError("422: ports are required for tcp and udp rules")
            ports(rule.get("portRange", "all"))
            for id in rule.get("sourceLoadBalancerUids", []):
                self.cloud.get("load_balancer", id)
        return {**inputs, "status": "succeeded"}


def region(inputs: Document) -> None:
    if inputs.get("region") not in REGIONS:
        raise CloudError(f"422: region {inputs.get('region')!r} is not valid")


def among(what: str, given: str, known: set[str]) -> None:
    if given not in known:
        raise CloudError(f"422: You specified an invalid {what}: {given}")


def _gateway(cloud: DigitalOcean, droplet: Document) -> str:
    return str(IPv4Network(cloud.get("vpc", droplet["vpcUuid"])["ipRange"])[1])
