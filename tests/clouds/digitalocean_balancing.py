"""DigitalOcean: load balancers."""

from __future__ import annotations

import uuid

from tests.clouds.digitalocean_projects import DEFAULT_PROJECT
from tests.clouds.digitalocean_resource import NAME, StoredResource, check_region
from tests.clouds.digitalocean_rules import not_empty, tag
from tests.clouds.faults import CloudError
from tests.clouds.input_rules import all_of, between, conflict, one_of
from tests.clouds.resource_schema import ResourceSchema
from tests.clouds.simulated_cloud import Document
from tools.offline.command_plugin.values import is_unknown

_FORWARDING_RULE = {
    "entryPort!": int, "entryProtocol!": str, "targetPort!": int, "targetProtocol!": str, "certificateName": str,
    "tlsPassthrough": bool,
}  # fmt: skip
_HEALTH_CHECK = {
    "port!": int, "protocol!": str, "path": str, "checkIntervalSeconds": int, "responseTimeoutSeconds": int,
    "healthyThreshold": int, "unhealthyThreshold": int,
}  # fmt: skip
_HEALTH_CHECK_DEFAULTS = {
    "checkIntervalSeconds": 10, "responseTimeoutSeconds": 5, "healthyThreshold": 5, "unhealthyThreshold": 3,
}  # fmt: skip
_PROTOCOLS = ("http", "https", "http2", "tcp", "udp")
_RULES = {
    "forwardingRules": not_empty,
    "forwardingRules.entryProtocol": one_of(*_PROTOCOLS, "http3"),
    "forwardingRules.targetProtocol": one_of(*_PROTOCOLS),
    "forwardingRules.entryPort": between(1, 65535),
    "forwardingRules.targetPort": between(1, 65535),
    "forwardingRules.certificateName": not_empty,
    "healthcheck.protocol": one_of("http", "https", "tcp"),
    "healthcheck.port": between(1, 65535),
    "healthcheck.path": not_empty,
    "healthcheck.checkIntervalSeconds": between(3, 300),
    "healthcheck.responseTimeoutSeconds": between(3, 300),
    "healthcheck.healthyThreshold": between(2, 10),
    "healthcheck.unhealthyThreshold": between(2, 10),
    "size": one_of("lb-small", "lb-medium", "lb-large"),
    "sizeUnit": between(1, 200),
    "type": one_of("REGIONAL", "GLOBAL", "REGIONAL_NETWORK", any_case=True),
    "network": one_of("EXTERNAL", "INTERNAL", any_case=True),
    "networkStack": one_of("IPV4", "DUALSTACK", any_case=True),
    "tlsCipherPolicy": one_of("DEFAULT", "STRONG", any_case=True),
    "vpcUuid": not_empty,
    "dropletTag": tag,
}


def _path_mistake(inputs: Document) -> str | None:
    check = inputs.get("healthcheck")
    if not isinstance(check, dict) or is_unknown(check["protocol"]):
        return None
    if ("path" in check) == (check["protocol"] != "tcp"):
        return None
    verb = "not allowed" if check["protocol"] == "tcp" else "required"
    return f"health check `path` is {verb} for when protocol is `{check['protocol']}`"


def _region_mistake(inputs: Document) -> str | None:
    if inputs.get("type", "").upper() == "GLOBAL":
        return "'region' must be empty or not set when 'type' is 'GLOBAL'" if inputs.get("region") else None
    return None if inputs.get("region") else "missing 'region' value"


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
        outputs=("ip", "status", "loadBalancerUrn"),
        replaces=("region", "vpcUuid", "type", "network", "networkStack"),
        name=NAME,
        computed=(
            "vpcUuid", "sizeUnit", "type", "dropletIds", "healthcheck", "httpIdleTimeoutSeconds", "projectId",
            "forwardingRules.certificateName",
        ),
        sets=("dropletIds", "forwardingRules"),
        spellings={"region": str.lower, "dropletTag": str.lower},
        defaults={f"healthcheck.{name}": value for name, value in _HEALTH_CHECK_DEFAULTS.items()},
        rules={**_RULES, "": all_of(conflict("dropletIds", "dropletTag"), _path_mistake, _region_mistake)},
    )  # fmt: skip
    name_pattern = r"[A-Za-z0-9][A-Za-z0-9.-]*"

    def new_document(self, inputs: Document) -> Document:
        self._check(inputs)
        check_region(inputs)
        self.cloud.check_unique("load_balancer", "name", inputs["name"])
        self.cloud.get("vpc", inputs.get("vpcUuid", "default"))
        return {
            # The values that the API chooses where the program names none.
            "projectId": DEFAULT_PROJECT,
            "httpIdleTimeoutSeconds": 60,
            "sizeUnit": 1,
            "type": "REGIONAL",
            "healthcheck": {"protocol": "http", "port": 80, "path": "/", **_HEALTH_CHECK_DEFAULTS},
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

    def after_delete(self, document: Document) -> None:
        self.cloud.delay_vpc_exit(document, document["loadBalancerUrn"])

    def _check(self, inputs: Document) -> None:
        if inputs.get("projectId", DEFAULT_PROJECT) != DEFAULT_PROJECT:
            self.cloud.get("project", inputs["projectId"])
        if not inputs.get("forwardingRules"):
            raise CloudError("422: forwarding rules can't be empty")
        self._check_droplets(inputs)
        for rule in inputs["forwardingRules"]:
            if rule["entryProtocol"] in ("https", "http2"):
                self.cloud.find("certificate", "name", rule.get("certificateName", ""))

    def _check_droplets(self, inputs: Document) -> None:
        for id in inputs.get("dropletIds", []):
            droplet = self.cloud.get("droplet", str(int(id)))
            if droplet["vpcUuid"] != inputs.get("vpcUuid"):
                raise CloudError(f"422: the droplet {id} is not in the load balancer's VPC")


TYPES = (LoadBalancer,)
