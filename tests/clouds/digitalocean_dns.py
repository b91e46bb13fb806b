"""DigitalOcean: domains, DNS records and certificates."""

from __future__ import annotations

import secrets
import uuid

from tests.clouds.certificates import self_signed
from tests.clouds.digitalocean_resource import NAME, StoredResource
from tests.clouds.digitalocean_rules import not_empty
from tests.clouds.faults import CloudBusy, CloudError
from tests.clouds.input_rules import at_least, conflict, each, one_of
from tests.clouds.resource_schema import ResourceSchema
from tests.clouds.simulated_cloud import Document

TTL_SECONDS = 1800
_OWN_CERTIFICATE = ("privateKey", "leafCertificate", "certificateChain")


class Domain(StoredResource):
    collection = "domain"
    schema = ResourceSchema(
        inputs={"name!": str, "ipAddress": str},
        outputs=("domainUrn", "ttl"),
        replaces=("name", "ipAddress"),
        rules={"name": not_empty, "ipAddress": not_empty},
    )

    def new_document(self, inputs: Document) -> Document:
        self.cloud.check_unique("domain", "name", inputs["name"])
        return {**inputs, "id": inputs["name"], "domainUrn": f"do:domain:{inputs['name']}", "ttl": TTL_SECONDS}


class DnsRecord(StoredResource):
    collection = "record"
    tolerates_missing = True
    schema = ResourceSchema(
        inputs={"domain!": str, "type!": str, "value!": str, "name": str, "ttl": int},
        outputs=("fqdn",),
        replaces=("domain", "type"),
        name=NAME,
        computed=("ttl",),
        rules={
            "domain": not_empty,
            "type": one_of("A", "AAAA", "CAA", "CNAME", "MX", "NS", "TXT", "SRV", "SOA"),
            "ttl": at_least(1),
        },
    )

    def new_document(self, inputs: Document) -> Document:
        self.cloud.get("domain", inputs["domain"])
        name, zone = inputs["name"], inputs["domain"]
        fqdn = zone if name == "@" else f"{name}.{zone}"
        return {"ttl": TTL_SECONDS, **inputs, "id": str(secrets.randbelow(10**9)), "fqdn": fqdn}


class Certificate(StoredResource):
    collection = "certificate"
    schema = ResourceSchema(
        inputs={
            "name": str, "type": str, "domains": [str], "privateKey": str, "leafCertificate": str,
            "certificateChain": str,
        },
        outputs=("uuid", "state"),
        replaces=("name", "type", "domains", *_OWN_CERTIFICATE),
        name=NAME,
        sets=("domains",),
        defaults={"type": "custom"},
        rules={
            **dict.fromkeys(_OWN_CERTIFICATE, not_empty),
            "domains": each(not_empty),
            "type": one_of("custom", "lets_encrypt"),
            "": conflict("domains", *_OWN_CERTIFICATE),
        },
    )  # fmt: skip

    def new_document(self, inputs: Document) -> Document:
        self.cloud.check_unique("certificate", "name", inputs["name"])
        if inputs.get("type", "custom") == "lets_encrypt":
            zones = list(self.cloud.documents("domain"))
            for domain in inputs.get("domains", []):
                if not any(domain == zone or domain.endswith(f".{zone}") for zone in zones):
                    raise CloudError(f"422: {domain} is not a domain of this account")
            pem = self_signed(inputs.get("domains", []))
        else:
            pem = inputs.get("leafCertificate", "") + inputs.get("certificateChain", "") + inputs.get("privateKey", "")
        return {**inputs, "state": "verified", "pem": pem, "uuid": str(uuid.uuid4()), "id": inputs["name"]}

    def before_delete(self, id: str) -> None:
        for balancer in self.cloud.documents("load_balancer").values():
            if any(rule.get("certificateName") == id for rule in balancer.get("forwardingRules", [])):
                raise CloudBusy("403 forbidden: the certificate is in use by a load balancer")


TYPES = (Domain, DnsRecord, Certificate)
