"""AWS: load balancers, their listeners and targets."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from tests.clouds.aws_resource import AwsResource
from tests.clouds.faults import CloudError
from tests.clouds.resource_schema import NameInput, ResourceSchema
from tests.clouds.simulated_cloud import Document

_NAME = NameInput(limit=32, pattern=r"(?!-)(?!internal-)[A-Za-z0-9-]+(?<!-)")
# AWS's attributes of a load balancer, by the input.
_ATTRIBUTES = {
    "idleTimeout": "idle_timeout.timeout_seconds",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "enableDeletionProtection": "deletion_protection.enabled",
}
# AWS's parameters of a target group, by the input of its health check.
_TEXT_PARAMETERS = {"path": "HealthCheckPath", "protocol": "HealthCheckProtocol", "port": "HealthCheckPort"}
_NUMBER_PARAMETERS = {
    "interval": "HealthCheckIntervalSeconds", "timeout": "HealthCheckTimeoutSeconds",
    "healthyThreshold": "HealthyThresholdCount", "unhealthyThreshold": "UnhealthyThresholdCount",
}  # fmt: skip


class _ElbResource(AwsResource):
    affects_topology = True

    @property
    def elb(self) -> Any:
        return self.cloud.client("elbv2")


class LoadBalancer(_ElbResource, module="lb"):
    schema = ResourceSchema(
        inputs={
            "name": str, "loadBalancerType": str, "internal": bool, "subnets": [str], "securityGroups": [str],
            "idleTimeout": int, "dropInvalidHeaderFields": bool, "desyncMitigationMode": str,
            "enableDeletionProtection": bool, "accessLogs": {"bucket!": str, "enabled": bool}, "tags": dict,
        },
        outputs=("arn", "arnSuffix", "dnsName", "zoneId", "vpcId", "tagsAll"),
        replaces=("name", "internal", "loadBalancerType"),
        # https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/elbv2/load_balancer.go
        computed=("accessLogs",),
        name=_NAME,
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
        if logs := inputs.get("accessLogs"):
            attributes["access_logs.s3.enabled"] = _as_text(logs.get("enabled", False))
            if logs.get("enabled"):
                self._check_log_permission(logs["bucket"])
                attributes["access_logs.s3.bucket"] = logs["bucket"]
        if attributes:
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


class TargetGroup(_ElbResource, module="lb"):
    schema = ResourceSchema(
        inputs={
            "name": str, "port": int, "protocol": str, "targetType": str, "vpcId": str, "deregistrationDelay": int,
            "healthCheck": {
                "path": str, "protocol": str, "port": str, "interval": int, "timeout": int, "healthyThreshold": int,
                "unhealthyThreshold": int, "matcher": str,
            },
            "tags": dict,
        },
        outputs=("arn", "arnSuffix", "tagsAll"),
        replaces=("name", "port", "protocol", "targetType", "vpcId"),
        name=_NAME,
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        response = self.elb.create_target_group(
            Name=inputs["name"],
            TargetType=inputs.get("targetType", "instance"),
            Protocol=inputs["protocol"],
            Port=int(inputs["port"]),
            VpcId=inputs["vpcId"],
            **_health_check_parameters(inputs),
            **self.service_tags(inputs),
        )
        id: str = response["TargetGroups"][0]["TargetGroupArn"]
        self._set_drain_delay(id, inputs)
        return id

    def api_read(self, id: str) -> Document | None:
        [group] = self.elb.describe_target_groups(TargetGroupArns=[id])["TargetGroups"]
        parameters = {**_TEXT_PARAMETERS, **_NUMBER_PARAMETERS}
        health_check = {key: group[aws_key] for key, aws_key in parameters.items() if aws_key in group}
        health_check["matcher"] = group["Matcher"]["HttpCode"]
        inputs: Document = self.cloud.recorded_inputs.get((type(self), id), {}).get("healthCheck", {})
        return {
            "arn": id,
            "arnSuffix": id.rpartition(":")[2],
            "healthCheck": {key: value for key, value in health_check.items() if key in inputs},
        }

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        if parameters := _health_check_parameters(news):
            self.elb.modify_target_group(TargetGroupArn=id, **parameters)
        self._set_drain_delay(id, news)
        return {"healthCheck", "deregistrationDelay"}

    def api_delete(self, id: str) -> None:
        self.elb.delete_target_group(TargetGroupArn=id)

    def _set_drain_delay(self, id: str, inputs: Document) -> None:
        if "deregistrationDelay" in inputs:
            value = str(int(inputs["deregistrationDelay"]))
            attributes = [{"Key": "deregistration_delay.timeout_seconds", "Value": value}]
            self.elb.modify_target_group_attributes(TargetGroupArn=id, Attributes=attributes)


class Listener(_ElbResource, module="lb"):
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
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        if inputs.get("protocol") == "HTTPS" and "certificateArn" not in inputs:
            raise CloudError("ValidationError: A certificate must be specified for HTTPS listeners")
        parameters = {**_listener_parameters(inputs), **self.service_tags(inputs)}
        response = self.elb.create_listener(LoadBalancerArn=inputs["loadBalancerArn"], **parameters)
        return response["Listeners"][0]["ListenerArn"]

    def api_read(self, id: str) -> Document | None:
        [listener] = self.elb.describe_listeners(ListenerArns=[id])["Listeners"]
        return {"arn": id, "port": listener["Port"], "protocol": listener["Protocol"]}

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        self.elb.modify_listener(ListenerArn=id, **_listener_parameters(news))
        return {"port", "protocol", "sslPolicy", "certificateArn", "defaultActions"}

    def api_delete(self, id: str) -> None:
        self.elb.delete_listener(ListenerArn=id)


class TargetGroupAttachment(_ElbResource, module="lb"):
    schema = ResourceSchema(
        inputs={"targetGroupArn!": str, "targetId!": str, "port": int}, replaces=("targetGroupArn", "targetId", "port")
    )

    def api_create(self, inputs: Document) -> str:
        target = {"Id": inputs["targetId"], "Port": int(inputs.get("port", 80))}
        self.elb.register_targets(TargetGroupArn=inputs["targetGroupArn"], Targets=[target])
        return f"{inputs['targetGroupArn']}|{inputs['targetId']}|{target['Port']}"

    def api_read(self, id: str) -> Document | None:
        group, target, port = id.split("|")
        descriptions = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        ids = [entry["Target"]["Id"] for entry in descriptions if entry["TargetHealth"]["State"] != "unused"]
        return {"targetGroupArn": group, "targetId": target, "port": int(port)} if target in ids else None

    def api_delete(self, id: str) -> None:
        group, target, port = id.split("|")
        self.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": target, "Port": int(port)}])


def _health_check_parameters(inputs: Document) -> Document:
    health_check: Document = inputs.get("healthCheck", {})
    parameters: Document = {
        aws_key: health_check[key] for key, aws_key in _TEXT_PARAMETERS.items() if key in health_check
    }
    parameters |= {
        aws_key: int(health_check[key]) for key, aws_key in _NUMBER_PARAMETERS.items() if key in health_check
    }
    if "matcher" in health_check:
        parameters["Matcher"] = {"HttpCode": health_check["matcher"]}
    return parameters


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


TYPES: list[type[AwsResource]] = [LoadBalancer, TargetGroup, Listener, TargetGroupAttachment]
