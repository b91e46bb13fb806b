"""What DigitalOcean does with what is in front of servers and around them: balancers, names, projects."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Collection

from tests.clouds.certificates import self_signed
from tests.clouds.digitalocean import Document
from tests.clouds.digitalocean_resources import Kept, among, region
from tests.clouds.faults import CloudError

# Where that is which no project was named for.
DEFAULT_PROJECT = "default"


class Balancers(Kept):
    forgiving = True

    def made(self, inputs: Document) -> Document:
        self._check(inputs)
        region(inputs)
        self.cloud.unique("load_balancer", "name", inputs["name"])
        self.cloud.get("vpc", inputs.get("vpcUuid", "default"))
        return {
            "projectId": DEFAULT_PROJECT,
            **inputs,
            "ip": self.cloud.public_address(),
            "node": self.cloud.private_address(inputs["vpcUuid"]),
            "status": "active",
            "loadBalancerUrn": f"do:loadbalancer:{uuid.uuid4()}",
        }

    def changed(self, id: str, olds: Document, news: Document) -> None:
        self._check(news)
        self.cloud.unique("load_balancer", "name", news["name"], but=id)
        if "projectId" not in news:
            # The provider names the one that it has heard of when the balancer was made.
            self.cloud.get("load_balancer", id)["projectId"] = DEFAULT_PROJECT

    def left(self, gone: Document) -> None:
        self.cloud.linger(gone, gone["loadBalancerUrn"])

    def _check(self, inputs: Document) -> None:
        if "projectId" in inputs:
            self.cloud.get("project", inputs["projectId"])
        if not inputs.get("forwardingRules"):
            raise CloudError("422: forwarding rules can't be empty")
        if inputs.get("dropletIds") and inputs.get("dropletTag"):
            raise CloudError("422: a load balancer takes droplet_ids or droplet_tag, not both")
        for id in inputs.get("dropletIds", []):
            droplet = self.cloud.get("droplet", str(int(id)))
            if droplet["vpcUuid"] != inputs.get("vpcUuid"):
                raise CloudError(f"422: the droplet {id} is not in the load balancer's VPC")
        for rule in inputs["forwardingRules"]:
            among("entry_protocol", rule["entryProtocol"], {"http", "https", "http2", "http3", "tcp", "udp"})
            if rule["entryProtocol"] in ("https", "http2"):
                self.cloud.one("certificate", "name", rule.get("certificateName", ""))
        among("tls_cipher_policy", inputs.get("tlsCipherPolicy", "DEFAULT"), {"DEFAULT", "STRONG"})
        check = inputs.get("healthcheck", {})
        for name, low, high in (
            ("checkIntervalSeconds", 3, 300), ("responseTimeoutSeconds", 3, 300),
            ("healthyThreshold", 2, 10), ("unhealthyThreshold", 2, 10),
        ):  # fmt: skip
            if not low <= check.get(name, low) <= high:
                raise CloudError(f"422: {name} must be between {low} and {high}")


class Certificates(Kept):
    def made(self, inputs: Document) -> Document:
        self.cloud.unique("certificate", "name", inputs["name"])
        kind = inputs.get("type", "custom")
        if kind == "lets_encrypt":
            zones = list(self.cloud.all("domain"))
            for domain in inputs.get("domains", []):
                if not any(domain == zone or domain.endswith(f".{zone}") for zone in zones):
                    raise CloudError(f"422: {domain} is not a domain of this account")
            pem = self_signed(inputs.get("domains", []))
        else:
            pem = inputs.get("leafCertificate", "") + inputs.get("certificateChain", "") + inputs.get("privateKey", "")
        return {**inputs, "state": "verified", "pem": pem, "uuid": str(uuid.uuid4()), "id": inputs["name"]}

    def free(self, id: str) -> None:
        for balancer in self.cloud.all("load_balancer").values():
            if any(rule.get("certificateName") == id for rule in balancer.get("forwardingRules", [])):
                raise CloudError("403 forbidden: the certificate is in use by a load balancer")


class Domains(Kept):
    def made(self, inputs: Document) -> Document:
        self.cloud.unique("domain", "name", inputs["name"])
        return {**inputs, "id": inputs["name"], "domainUrn": f"do:domain:{inputs['name']}", "ttl": 1800}


class Records(Kept):
    forgiving = True

    def made(self, inputs: Document) -> Document:
        self.cloud.get("domain", inputs["domain"])
        among("type", inputs["type"], {"A", "AAAA", "CAA", "CNAME", "MX", "NS", "TXT", "SRV", "SOA"})
        name, zone = inputs.get("name", "@"), inputs["domain"]
        return {**inputs, "id": str(secrets.randbelow(10**9)), "fqdn": zone if name == "@" else f"{name}.{zone}"}


class Projects(Kept):
    def read(self, id: str) -> Document | None:
        # The provider forgets one that is gone, and fails nevertheless:
        # https://github.com/digitalocean/terraform-provider-digitalocean/blob/main/digitalocean/project/
        self.cloud.get(self.of, id)
        return super().read(id)

    def made(self, inputs: Document) -> Document:
        self.cloud.unique("project", "name", inputs["name"])
        return {**inputs, "ownerUuid": "owner", "createdAt": "2026-01-01T00:00:00Z"}

    def changed(self, id: str, olds: Document, news: Document) -> None:
        self.cloud.unique("project", "name", news["name"], but=id)

    def free(self, id: str) -> None:
        listed = any(each["project"] == id for each in self.cloud.all("project_resources").values())
        if listed or any(each["projectId"] == id for each in self.cloud.all("load_balancer").values()):
            raise CloudError("412 precondition_failed: cannot delete a project with resources")


class Members(Kept):
    """Which resources are in a project; its id is the project's. Of balancers it is known whether they still are."""

    forgiving = True

    def made(self, inputs: Document) -> Document:
        self.cloud.get("project", inputs["project"])
        self._check(inputs)
        self._move(inputs["resources"], inputs["project"])
        return {**inputs, "id": inputs["project"]}

    def read(self, id: str) -> Document | None:
        if (found := super().read(id)) is None or id not in self.cloud.all("project"):
            return None
        elsewhere = {
            each["loadBalancerUrn"] for each in self.cloud.all("load_balancer").values() if each["projectId"] != id
        }
        return {**found, "resources": [urn for urn in found["resources"] if urn not in elsewhere]}

    def changed(self, id: str, olds: Document, news: Document) -> None:
        self._check(news)
        self._move(set(olds["resources"]) - set(news["resources"]), DEFAULT_PROJECT)
        self._move(news["resources"], id)

    def free(self, id: str) -> None:
        self._move(self.cloud.get(self.of, id)["resources"], DEFAULT_PROJECT)

    def _move(self, urns: Collection[str], project: str) -> None:
        for each in self.cloud.all("load_balancer").values():
            if each["loadBalancerUrn"] in urns:
                each["projectId"] = project

    def _check(self, inputs: Document) -> None:
        known = {
            each[field]
            for kind, field in (
                ("droplet", "dropletUrn"), ("load_balancer", "loadBalancerUrn"), ("reserved_ip", "reservedIpUrn"),
                ("domain", "domainUrn"),
            )
            for each in self.cloud.all(kind).values()
        }  # fmt: skip
        if unknown := set(inputs["resources"]) - known:
            raise CloudError(f"422: {', '.join(sorted(unknown))} can't be in a project, or isn't there")


class Tags(Kept):
    def made(self, inputs: Document) -> Document:
        return {**inputs, "id": inputs["name"]}
