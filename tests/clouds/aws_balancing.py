"""AWS: load balancers and their listeners."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from tests.clouds import aws_rules
from tests.clouds.aws_resource import AwsResource
from tests.clouds.faults import CloudError
from tests.clouds.input_rules import between, each, matching, one_of
from tests.clouds.resource_schema import NameInput, ResourceSchema
from tests.clouds.simulated_cloud import Document

NAME = NameInput(limit=32, pattern=r"(?!-)(?!internal-)[A-Za-z0-9-]+(?<!-)")
ELB_PROTOCOL = matching("(?i:HTTP|HTTPS|TCP|TLS|UDP|TCP_UDP|GENEVE)")
# AWS's attributes of a load balancer, by the input.
_ATTRIBUTES = {
    "idleTimeout": "idle_timeout.timeout_seconds",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "enableDeletionProtection": "deletion_protection.enabled",
}
# A redirect keeps these parts of the request's URL, unless the program names others.
_REDIRECT_DEFAULTS = {
    "host": "#{host}", "path": "/#{path}", "port": "#{port}", "protocol": "#{protocol}", "query": "#{query}"
}  # fmt: skip


class ElbResource(AwsResource):
    affects_topology = True

    @property
    def elb(self) -> Any:
        return self.cloud.client("elbv2")


class LoadBalancer(ElbResource, module="lb"):
    schema = ResourceSchema(
        inputs={
            "name": str, "loadBalancerType": str, "internal": bool, "subnets": [str], "securityGroups": [str],
            "idleTimeout": int, "dropInvalidHeaderFields": bool, "desyncMitigationMode": str,
            "enableDeletionProtection": bool, "accessLogs": {"bucket!": str, "enabled": bool}, "tags": dict,
        },
        outputs=("arn", "arnSuffix", "dnsName", "zoneId", "vpcId", "tagsAll"),
        replaces=("name", "internal", "loadBalancerType"),
        name=NAME,
        computed=("subnets", "securityGroups", "internal"),
        sets=("subnets", "securityGroups"),
        defaults={
            "loadBalancerType": "application", "idleTimeout": 60, "dropInvalidHeaderFields": False,
            "desyncMitigationMode": "defensive", "enableDeletionProtection": False, "accessLogs.enabled": False,
        },
        rules={
            "": aws_rules.exactly_one_of("subnets", "subnetMappings"),
            "loadBalancerType": one_of("application", "network", "gateway"),
            "desyncMitigationMode": one_of("monitor", "defensive", "strictest"),
        },
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        subnets = self.ec2.describe_subnets(SubnetIds=inputs["subnets"])["Subnets"]
        if len({subnet["AvailabilityZone"] for subnet in subnets}) < 2:
            raise CloudError("ValidationError: At least two subnets in two Availability Zones must be specified")
        [balancer] = self.elb.create_load_balancer(
            Name=inputs["name"],
            Subnets=inputs["subnets"],
            SecurityGroups=inputs.get("securityGroups", []),
            Scheme="internal" if inputs.get("internal") else "internet-facing",
            Type="application",
            **self.service_tags(inputs),
        )["LoadBalancers"]
        arn: str = balancer["LoadBalancerArn"]
        with self.cloud.lock:
            self.cloud.balancer_addresses[arn] = self.cloud.new_public_address()
        self._set_attributes(arn, inputs)
        return arn

    def api_read(self, id: str) -> Document | None:
        [balancer] = self.elb.describe_load_balancers(LoadBalancerArns=[id])["LoadBalancers"]
        attributes = self._attributes(id)
        inputs = self.cloud.recorded_inputs.get((type(self), id), {})
        live = {
            key: _with_type_of(inputs[key], attributes[aws_key])
            for key, aws_key in _ATTRIBUTES.items()
            if key in inputs and aws_key in attributes
        }
        if "accessLogs" in inputs:
            live["accessLogs"] = _access_logs(inputs["accessLogs"], attributes)
        return {
            "arn": id,
            "arnSuffix": id.partition("loadbalancer/")[2],
            "dnsName": balancer["DNSName"],
            "zoneId": balancer["CanonicalHostedZoneId"],
            "vpcId": balancer["VpcId"],
            **live,
        }

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        self._set_attributes(id, news)
        if "securityGroups" in changes:
            self.elb.set_security_groups(LoadBalancerArn=id, SecurityGroups=news["securityGroups"])
        return {*_ATTRIBUTES, "securityGroups", "accessLogs"}

    def api_delete(self, id: str) -> None:
        if self._attributes(id).get("deletion_protection.enabled") == "true":
            raise CloudError(f"OperationNotPermitted: Load balancer '{id}' can't be deleted: deletion protection is on")
        self.elb.delete_load_balancer(LoadBalancerArn=id)
        self.cloud.balancer_addresses.pop(id, None)

    def _attributes(self, id: str) -> dict[str, str]:
        attributes = self.elb.describe_load_balancer_attributes(LoadBalancerArn=id)["Attributes"]
        return {attribute["Key"]: attribute["Value"] for attribute in attributes}

    def _set_attributes(self, id: str, inputs: Document) -> None:
        attributes = {aws_key: _as_text(inputs[key]) for key, aws_key in _ATTRIBUTES.items() if key in inputs}
        # Without this block, the provider turns the logs off.
        logs = inputs.get("accessLogs", {"enabled": False})
        attributes["access_logs.s3.enabled"] = _as_text(logs["enabled"])
        if logs["enabled"]:
            self._check_log_permission(logs["bucket"])
            attributes["access_logs.s3.bucket"] = logs["bucket"]
        pairs = [{"Key": key, "Value": value} for key, value in attributes.items()]
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=id, Attributes=pairs)

    def _check_log_permission(self, bucket: str) -> None:
        """Refuse a bucket that the balancer may not write to. AWS writes a test file, and moto doesn't."""
        try:
            policy = self.cloud.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
        except ClientError:
            policy = ""
        if "logdelivery.elasticloadbalancing.amazonaws.com" not in policy:
            message = f"Access Denied for bucket: {bucket}. Please check S3bucket permission"
            raise CloudError(f"InvalidConfigurationRequest: {message}")


def _action_mistake(action: Document) -> str | None:
    needed = {"forward": "targetGroupArn", "redirect": "redirect"}.get(action["type"])
    return f"{needed} is required when type is {action['type']}" if needed and needed not in action else None


class Listener(ElbResource, module="lb"):
    schema = ResourceSchema(
        inputs={
            "loadBalancerArn!": str, "port": int, "protocol": str, "sslPolicy": str, "certificateArn": str,
            "defaultActions!": [{
                "type!": str, "targetGroupArn": str, "redirect": {"port": str, "protocol": str, "statusCode!": str},
            }],
            "tags": dict,
        },
        outputs=("arn", "tagsAll"),
        replaces=("loadBalancerArn",),
        computed=("protocol", "sslPolicy"),
        spellings={"protocol": str.upper},
        defaults={f"defaultActions.redirect.{part}": value for part, value in _REDIRECT_DEFAULTS.items()},
        rules={
            "loadBalancerArn": aws_rules.arn, "certificateArn": aws_rules.arn,
            "defaultActions.targetGroupArn": aws_rules.arn, "port": between(1, 65535), "protocol": ELB_PROTOCOL,
            "defaultActions": each(_action_mistake),
            "defaultActions.type": matching(
                "(?i:forward|redirect|fixed-response|authenticate-oidc|authenticate-cognito|jwt-validation)"
            ),
            "defaultActions.redirect.protocol": one_of("#{protocol}", "HTTP", "HTTPS"),
            "defaultActions.redirect.statusCode": one_of("HTTP_301", "HTTP_302"),
        },
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        if inputs.get("protocol") == "HTTPS" and "certificateArn" not in inputs:
            raise CloudError("ValidationError: A certificate must be specified for HTTPS listeners")
        parameters = {**_listener_parameters(inputs), **self.service_tags(inputs)}
        response = self.elb.create_listener(LoadBalancerArn=inputs["loadBalancerArn"], **parameters)
        return response["Listeners"][0]["ListenerArn"]

    def api_read(self, id: str) -> Document | None:
        [listener] = self.elb.describe_listeners(ListenerArns=[id])["Listeners"]
        policy = {"sslPolicy": listener["SslPolicy"]} if listener.get("SslPolicy") else {}
        return {"arn": id, "port": listener["Port"], "protocol": listener["Protocol"], **policy}

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        self.elb.modify_listener(ListenerArn=id, **_listener_parameters(news))
        return {"port", "protocol", "sslPolicy", "certificateArn", "defaultActions"}

    def api_delete(self, id: str) -> None:
        self.elb.delete_listener(ListenerArn=id)


def _listener_parameters(inputs: Document) -> Document:
    parameters: Document = {"Port": int(inputs["port"]), "Protocol": inputs["protocol"], "DefaultActions": []}
    if "certificateArn" in inputs:
        parameters["Certificates"] = [{"CertificateArn": inputs["certificateArn"]}]
    if "sslPolicy" in inputs:
        parameters["SslPolicy"] = inputs["sslPolicy"]
    for action in inputs["defaultActions"]:
        if action["type"] == "forward":
            parameters["DefaultActions"].append({"Type": "forward", "TargetGroupArn": action["targetGroupArn"]})
        else:
            redirect = {key[0].upper() + key[1:]: value for key, value in action["redirect"].items()}
            parameters["DefaultActions"].append({"Type": "redirect", "RedirectConfig": redirect})
    return parameters


def _access_logs(inputs: Document, attributes: dict[str, str]) -> Document:
    """Where logs are off, the provider doesn't compare the bucket, although AWS still has one."""
    enabled = attributes["access_logs.s3.enabled"] == "true"
    return {"bucket": attributes["access_logs.s3.bucket"] if enabled else inputs["bucket"], "enabled": enabled}


def _as_text(value: Any) -> str:
    """The value as AWS takes it for an attribute."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float | int) else str(value)


def _with_type_of(value: Any, text: str) -> Any:
    """AWS's text of an attribute, with the type of this value."""
    if isinstance(value, bool):
        return text == "true"
    return float(text) if isinstance(value, float | int) else text


TYPES: list[type[AwsResource]] = [LoadBalancer, Listener]
