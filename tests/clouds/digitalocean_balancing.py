"""DigitalOcean: load balancers."""

from __future__ import annotations

import uuid

from tests.clouds.digitalocean_projects import DEFAULT_PROJECT
from tests.clouds.digitalocean_resource import StoredResource, check_choice, check_region
from tests.clouds.faults import CloudError
from tests.clouds.resource_schema import NameInput, ResourceSchema
from tests.clouds.simulated_cloud import Document

_FORWARDING_RULE = {
    "entryPort!": int, "entryProtocol!": str, "targetPort!": int, "targetProtocol!": str, "certificateName": str,
    "tlsPassthrough": bool,
}  # fmt: skip
_HEALTH_CHECK = {
    "port!": int, "protocol!": str, "path": str, "checkIntervalSeconds": int, "responseTimeoutSeconds": int,
    "healthyThreshold": int, "unhealthyThreshold": int,
}  # fmt: skip
_HEALTH_CHECK_LIMITS = {
    "checkIntervalSeconds": (3, 300),
    "responseTimeoutSeconds": (3, 300),
    "healthyThreshold": (2, 10),
    "unhealthyThreshold": (2, 10),
}


class LoadBalancer(StoredResource):
    collection = "load_balancer"
    tolerates_missing = True
    schema = ResourceSchema(
        inputs={
            "name": str, "region": str, "vpcUuid": str, "size": str, "sizeUnit": int, "type": str, "network": str,
            "networkStack": str, "dropletIds": [int], "dropletTag": str, "forwardingRules": [_FORWARDING_RULE],
            "healthcheck": _HEALTH_CHECK, "redirectHttpToHttps": bool, "httpIdleTimeoutSeconds": int,
            "projectId": str, "enableBackendKeepalive": bool, "tlsCipherPolicy": str,
            "disableLetsEncryptDnsRecords": bool,
        },
        outputs=("ip", "status", "loadBalancerUrn", "projectId"),
        replaces=("region", "vpcUuid", "type", "network", "networkStack"),
        name=NameInput(pattern=r"[A-Za-z0-9][A-Za-z0-9.-]*"),
    )  # fmt: skip

    def new_document(self, inputs: Document) -> Document:
        self._check(inputs)
        check_region(inputs)
        self.cloud.check_unique("load_balancer", "name", inputs["name"])
        self.cloud.get("vpc", inputs.get("vpcUuid", "default"))
        return {
            "projectId": DEFAULT_PROJECT,
            **inputs,
            "ip": self.cloud.new_public_address(),
            "nodeAddress": self.cloud.new_private_address(inputs["vpcUuid"]),
            "status": "new",
            "loadBalancerUrn": f"do:loadbalancer:{uuid.uuid4()}",
        }

    def read(self, id: str) -> Document | None:
        return self.without_addresses(super().read(id), "ip")

    def after_create(self, id: str) -> None:
        super().after_create(id)
        # The provider returns only now.
        self.cloud.get("load_balancer", id)["status"] = "active"
        self.cloud.save()

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        self._check(news)
        self.cloud.check_unique("load_balancer", "name", news["name"], except_id=id)
        if "projectId" not in news:
            # The provider sends the project that the balancer was in when it was created.
            self.cloud.get("load_balancer", id)["projectId"] = DEFAULT_PROJECT

    def after_delete(self, document: Document) -> None:
        self.cloud.delay_vpc_exit(document, document["loadBalancerUrn"])

    def _check(self, inputs: Document) -> None:
        if "projectId" in inputs:
            self.cloud.get("project", inputs["projectId"])
        if not inputs.get("forwardingRules"):
            raise CloudError("422: forwarding rules can't be empty")
        self._check_droplets(inputs)
        for rule in inputs["forwardingRules"]:
            check_choice("entry_protocol", rule["entryProtocol"], {"http", "https", "http2", "http3", "tcp", "udp"})
            if rule["entryProtocol"] in ("https", "http2"):
                self.cloud.find("certificate", "name", rule.get("certificateName", ""))
        check_choice("tls_cipher_policy", inputs.get("tlsCipherPolicy", "DEFAULT"), {"DEFAULT", "STRONG"})
        health_check = inputs.get("healthcheck", {})
        for name, (low, high) in _HEALTH_CHECK_LIMITS.items():
            if not low <= health_check.get(name, low) <= high:
                raise CloudError(f"422: {name} must be between {low} and {high}")

    def _check_droplets(self, inputs: Document) -> None:
        if inputs.get("dropletIds") and inputs.get("dropletTag"):
            raise CloudError("422: a load balancer takes droplet_ids or droplet_tag, not both")
        for id in inputs.get("dropletIds", []):
            droplet = self.cloud.get("droplet", str(int(id)))
            if droplet["vpcUuid"] != inputs.get("vpcUuid"):
                raise CloudError(f"422: the droplet {id} is not in the load balancer's VPC")


TYPES = (LoadBalancer,)
