"""DigitalOcean: domains, DNS records and certificates."""

from __future__ import annotations

import secrets
import uuid

from tests.clouds.certificates import self_signed
from tests.clouds.digitalocean_resource import StoredResource, check_choice
from tests.clouds.faults import CloudError
from tests.clouds.resource_schema import NameInput, ResourceSchema
from tests.clouds.simulated_cloud import Document


class Domain(StoredResource):
    collection = "domain"
    schema = ResourceSchema(
        inputs={"name!": str, "ipAddress": str}, outputs=("domainUrn", "ttl"), replaces=("name", "ipAddress")
    )

    def new_document(self, inputs: Document) -> Document:
        self.cloud.check_unique("domain", "name", inputs["name"])
        return {**inputs, "id": inputs["name"], "domainUrn": f"do:domain:{inputs['name']}", "ttl": 1800}


class DnsRecord(StoredResource):
    collection = "record"
    tolerates_missing = True
    schema = ResourceSchema(
        inputs={"domain!": str, "type!": str, "value!": str, "name": str, "ttl": int},
        outputs=("fqdn",),
        replaces=("domain", "type"),
    )

    def new_document(self, inputs: Document) -> Document:
        self.cloud.get("domain", inputs["domain"])
        check_choice("type", inputs["type"], {"A", "AAAA", "CAA", "CNAME", "MX", "NS", "TXT", "SRV", "SOA"})
        name, zone = inputs.get("name", "@"), inputs["domain"]
        return {**inputs, "id": str(secrets.randbelow(10**9)), "fqdn": zone if name == "@" else f"{name}.{zone}"}


class Certificate(StoredResource):
    collection = "certificate"
    schema = ResourceSchema(
        inputs={
            "name": str, "type": str, "domains": [str], "privateKey": str, "leafCertificate": str,
            "certificateChain": str,
        },
        outputs=("uuid", "state"),
        replaces=("name", "type", "domains", "privateKey", "leafCertificate", "certificateChain"),
        name=NameInput(),
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
                raise CloudError("403 forbidden: the certificate is in use by a load balancer")


TYPES = (Domain, DnsRecord, Certificate)
