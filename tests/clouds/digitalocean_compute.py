"""DigitalOcean: droplets and SSH keys."""

from __future__ import annotations

import base64
import hashlib
import secrets
from ipaddress import IPv4Network

from tests.clouds.digitalocean_resource import NAME, StoredResource, check_choice, check_region, detach_address
from tests.clouds.digitalocean_rules import needs, not_empty, tag
from tests.clouds.faults import CloudError
from tests.clouds.infrastructure import ServerSpec
from tests.clouds.input_rules import between, each, one_of
from tests.clouds.metadata_service import MAC
from tests.clouds.resource_schema import ResourceSchema
from tests.clouds.simulated_cloud import Document

IMAGES = {"debian-12-x64", "debian-13-x64", "ubuntu-24-04-x64"}
SIZES = {f"s-{size}" for size in ("1vcpu-512mb-10gb", "1vcpu-1gb", "1vcpu-2gb", "2vcpu-2gb", "2vcpu-4gb", "4vcpu-8gb")}
USER_DATA_LIMIT = 64 * 1024


class SshKey(StoredResource):
    collection = "ssh_key"
    schema = ResourceSchema(
        inputs={"publicKey!": str, "name": str},
        outputs=("fingerprint",),
        replaces=("publicKey",),
        name=NAME,
        spellings={"publicKey": str.strip},
        rules={"publicKey": not_empty},
    )

    def new_document(self, inputs: Document) -> Document:
        words = inputs["publicKey"].split()
        if len(words) < 2:
            raise CloudError("422: Key invalid, key should be of the format `type key [comment]`")
        digest = hashlib.md5(base64.b64decode(words[1]), usedforsecurity=False).hexdigest()
        fingerprint = ":".join(digest[index : index + 2] for index in range(0, 32, 2))
        if any(key["fingerprint"] == fingerprint for key in self.cloud.documents("ssh_key").values()):
            raise CloudError("422: SSH Key is already in use on your account")
        return {**inputs, "fingerprint": fingerprint, "id": str(secrets.randbelow(10**8))}

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        pass


class Droplet(StoredResource):
    collection = "droplet"
    schema = ResourceSchema(
        inputs={
            "image!": str, "size!": str, "region": str, "name": str, "sshKeys": [str], "userData": str,
            "tags": [str], "vpcUuid": str, "monitoring": bool, "dropletAgent": bool, "backups": bool,
            "backupPolicy": {"plan": str, "weekday": str, "hour": int}, "ipv6": bool, "gracefulShutdown": bool,
            "resizeDisk": bool,
        },
        outputs=("ipv4Address", "ipv4AddressPrivate", "dropletUrn", "status", "locked"),
        replaces=("image", "region", "sshKeys", "userData", "vpcUuid", "monitoring", "dropletAgent"),
        name=NAME,
        computed=("region", "vpcUuid"),
        sets=("sshKeys", "tags"),
        spellings={"region": str.lower, "size": str.lower, "tags": str.lower},
        # The bridge adds no default that is false.
        defaults={"resizeDisk": True},
        rules={
            **dict.fromkeys(("image", "region", "size", "userData", "vpcUuid"), not_empty),
            "sshKeys": each(not_empty),
            "tags": each(tag),
            "backupPolicy.plan": one_of("daily", "weekly"),
            "backupPolicy.weekday": one_of("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
            "backupPolicy.hour": between(0, 20),
            "": needs("backupPolicy", "backups"),
        },
    )  # fmt: skip
    name_pattern = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"

    def new_document(self, inputs: Document) -> Document:
        check_region(inputs)
        check_choice("image", inputs["image"], IMAGES)
        check_choice("size", inputs["size"].lower(), SIZES)
        if len(inputs.get("userData", "").encode()) > USER_DATA_LIMIT:
            raise CloudError("422: user_data is too long (maximum is 64 KiB)")
        for key in inputs.get("sshKeys", []):
            self._ssh_key(key)
        vpc = self.cloud.get("vpc", inputs.get("vpcUuid", "default"))
        if vpc["region"] != inputs["region"]:
            raise CloudError("422: the VPC is in another region than the droplet")
        for name in inputs.get("tags", []):
            # A new droplet creates those of its tags that don't exist.
            if name not in self.cloud.documents("tag"):
                self.cloud.add("tag", {"name": name, "implied": True}, name)
        id = str(400_000_000 + secrets.randbelow(100_000_000))
        return {
            **inputs,
            "id": id,
            "ipv4Address": self.cloud.new_public_address(),
            "ipv4AddressPrivate": self.cloud.new_private_address(inputs["vpcUuid"]),
            "dropletUrn": f"do:droplet:{id}",
            "status": "new",
            "locked": False,
        }

    def read(self, id: str) -> Document | None:
        return self.without_addresses(super().read(id), "ipv4Address", "ipv4AddressPrivate")

    def after_create(self, id: str) -> None:
        droplet = self.cloud.get("droplet", id)
        self.cloud.apply_topology()
        self.cloud.infrastructure.boot(self._server_spec(droplet))
        droplet["status"] = "active"
        self.cloud.save()

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        check_choice("size", news["size"].lower(), SIZES)
        if olds["size"] != news["size"]:
            self.cloud.infrastructure.restart(id)

    def before_delete(self, id: str) -> None:
        self.cloud.infrastructure.destroy(id)
        for reserved in self.cloud.documents("reserved_ip").values():
            if reserved.get("dropletId") == int(id):
                detach_address(reserved, self.cloud.get("droplet", id))
        # A droplet that is deleted lets its volumes go.
        for volume in self.cloud.documents("volume").values():
            if int(id) in volume["dropletIds"]:
                self.cloud.infrastructure.detach_volume(volume["id"])
                volume["dropletIds"] = []
        attachments = self.cloud.documents("volume_attachment")
        for attachment in [key for key, document in attachments.items() if int(document["dropletId"]) == int(id)]:
            del attachments[attachment]
        # Balancers and firewalls forget a droplet that is deleted.
        for collection in ("load_balancer", "firewall"):
            for document in self.cloud.documents(collection).values():
                if "dropletIds" in document:
                    document["dropletIds"] = [other for other in document["dropletIds"] if int(other) != int(id)]
        self._remove_unused_implied_tags(id)

    def after_delete(self, document: Document) -> None:
        self.cloud.delay_vpc_exit(document, document["dropletUrn"])

    def _remove_unused_implied_tags(self, deleted_id: str) -> None:
        implied_tags = {name for name, document in self.cloud.documents("tag").items() if document.get("implied")}
        droplets = [droplet for id, droplet in self.cloud.documents("droplet").items() if id != deleted_id]
        for name in implied_tags - {name for droplet in droplets for name in droplet.get("tags", [])}:
            self.cloud.remove("tag", name)

    def _ssh_key(self, id_or_fingerprint: object) -> Document:
        for id, key in self.cloud.documents("ssh_key").items():
            if str(id_or_fingerprint) in (id, key["fingerprint"]):
                return key
        raise CloudError(f"422: {id_or_fingerprint} are invalid key identifiers for Droplet creation.")

    def _server_spec(self, droplet: Document) -> ServerSpec:
        return ServerSpec(
            id=droplet["id"],
            hostname=droplet["name"],
            network=droplet["vpcUuid"],
            address=droplet["ipv4AddressPrivate"],
            user_data=droplet.get("userData", ""),
            metadata=self._metadata(droplet),
        )

    def _metadata(self, droplet: Document) -> Document:
        gateway = str(IPv4Network(self.cloud.get("vpc", droplet["vpcUuid"])["ipRange"])[1])
        addresses = {"private": droplet["ipv4AddressPrivate"], "public": droplet["ipv4Address"]}
        return {
            "droplet_id": int(droplet["id"]),
            "hostname": droplet["name"],
            "region": droplet["region"],
            "vendor_data": "",
            "public_keys": [self._ssh_key(key)["publicKey"] for key in droplet.get("sshKeys", [])],
            "tags": droplet.get("tags", []),
            "dns": {"nameservers": []},
            "interfaces": {
                side: [
                    {
                        "mac": MAC,
                        "type": side,
                        "ipv4": {"ip_address": address, "netmask": "255.255.240.0", "gateway": gateway},
                    }
                ]
                for side, address in addresses.items()
            },
            "user_data": droplet.get("userData", ""),
        }


TYPES = (SshKey, Droplet)
