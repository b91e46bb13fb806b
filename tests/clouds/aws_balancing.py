"""AWS: load balancers, their listeners and targets."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from tests.clouds.aws import Document, Resource
from tests.clouds.faults import CloudError
from tests.clouds.resource_schema import Kind, Name

_NAME = Name(limit=32, pattern=r"(?!-)(?!internal-)[A-Za-z0-9-]+(?<!-)")
_ATTRIBUTES = {
    "idleTimeout": "idle_timeout.timeout_seconds",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "enableDeletionProtection": "deletion_protection.enabled",
}


class _OfElb(Resource):
    @property
    def elb(self) -> Any:
        return self.cloud.client("elbv2")


class LoadBalancer(_OfElb):
    token = "aws:lb/loadBalancer:LoadBalancer"
    kind = Kind(
        inputs={
            "name": str, "loadBalancerType": str, "internal": bool, "subnets": [str], "securityGroups": [str],
            "idleTimeout": int, "dropInvalidHeaderFields": bool, "desyncMitigationMode": str,
            "enableDeletionProtection": bool, "accessLogs": {"bucket!": str, "enabled": bool}, "tags": dict,
        },
        outputs=("arn", "arnSuffix", "dnsName", "zoneId", "vpcId", "tagsAll"),
        replaces=("name", "internal", "loadBalancerType"),
        # https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/elbv2/load_balancer.go
        kept=("accessLogs",),
        name=_NAME,
    )  # fmt: skip

    def make(self, inputs: Document) -> str:
        zones = {each["AvailabilityZone"] for each in self.ec2.describe_subnets(SubnetIds=inputs["subnets"])["Subnets"]}
        if len(zones) < 2:
            raise CloudError("ValidationError: At least two subnets in two Availability Zones must be specified")
        made = self.elb.create_load_balancer(
            Name=inputs["name"], Subnets=inputs["subnets"], SecurityGroups=inputs.get("securityGroups", []),
            Scheme="internal" if inputs.get("internal") else "internet-facing", Type="application",
            **self.plain_tags(inputs),
        )["LoadBalancers"][0]  # fmt: skip
        with self.cloud.lock:
            self.cloud.fronts[made["LoadBalancerArn"]] = self.cloud.public_address()
        self._set(made["LoadBalancerArn"], inputs)
        return made["LoadBalancerArn"]

    def live(self, id: str) -> Document | None:
        [found] = self.elb.describe_load_balancers(LoadBalancerArns=[id])["LoadBalancers"]
        told = self.elb.describe_load_balancer_attributes(LoadBalancerArn=id)["Attributes"]
        values = {each["Key"]: each["Value"] for each in told}
        given = self.cloud.given.get((type(self), id), {})
        attributes = {
            ours: _like(given[ours], values[theirs])
            for ours, theirs in _ATTRIBUTES.items()
            if ours in given and theirs in values
        }
        return {
            "arn": id,
            "arnSuffix": id.partition("loadbalancer/")[2],
            "dnsName": found["DNSName"],
            "zoneId": found["CanonicalHostedZoneId"],
            "vpcId": found["VpcId"],
            **attributes,
            **({"accessLogs": _logs(given["accessLogs"], values)} if "accessLogs" in given else {}),
        }

    def change(self, id: str, olds: Document, news: Document, changed: set[str]) -> set[str]:
        self._set(id, news)
        if "securityGroups" in changed:
            self.elb.set_security_groups(LoadBalancerArn=id, SecurityGroups=news["securityGroups"])
        return {*_ATTRIBUTES, "securityGroups", "accessLogs"}

    def _set(self, id: str, inputs: Document) -> None:
        attributes = [
            {"Key": theirs, "Value": _spelled(inputs[ours])} for ours, theirs in _ATTRIBUTES.items() if ours in inputs
        ]
        if logs := inputs.get("accessLogs"):
            attributes.append({"Key": "access_logs.s3.enabled", "Value": _spelled(logs.get("enabled", False))})
            if logs.get("enabled"):
                self._may_write(logs["bucket"])
                attributes.append({"Key": "access_logs.s3.bucket", "Value": logs["bucket"]})
        if attributes:
            self.elb.modify_load_balancer_attributes(LoadBalancerArn=id, Attributes=attributes)

    def _may_write(self, bucket: str) -> None:
        """AWS writes a file to find out, and moto doesn't."""
        try:
            policy = self.cloud.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
        except ClientError:
            policy = ""
        if "logdelivery.elasticloadbalancing.amazonaws.com" not in policy:
            said = f"Access Denied for bucket: {bucket}. Please check S3bucket permission"
            raise CloudError(f"InvalidConfigurationRequest: {said}")

    def drop(self, id: str) -> None:
        told = self.elb.describe_load_balancer_attributes(LoadBalancerArn=id)["Attributes"]
        if {"Key": "deletion_protection.enabled", "Value": "true"} in told:
            raise CloudError(f"OperationNotPermitted: Load balancer '{id}' can't be deleted: deletion protection is on")
        self.elb.delete_load_balancer(LoadBalancerArn=id)
        self.cloud.fronts.pop(id, None)


class TargetGroup(_OfElb):
    token = "aws:lb/targetGroup:TargetGroup"
    kind = Kind(
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

    def make(self, inputs: Document) -> str:
        given = {"Protocol": inputs["protocol"], "Port": int(inputs["port"]), "VpcId": inputs["vpcId"]}
        kind = inputs.get("targetType", "instance")
        given |= {**_health(inputs), **self.plain_tags(inputs)}
        made = self.elb.create_target_group(Name=inputs["name"], TargetType=kind, **given)
        id: str = made["TargetGroups"][0]["TargetGroupArn"]
        self._delay(id, inputs)
        return id

    def live(self, id: str) -> Document | None:
        [found] = self.elb.describe_target_groups(TargetGroupArns=[id])["TargetGroups"]
        checks = {ours: found[theirs] for ours, theirs in {**_TEXTS, **_NUMBERS}.items() if theirs in found}
        checks["matcher"] = found["Matcher"]["HttpCode"]
        given: Document = self.cloud.given.get((type(self), id), {}).get("healthCheck", {})
        return {
            "arn": id,
            "arnSuffix": id.rpartition(":")[2],
            "healthCheck": {key: value for key, value in checks.items() if key in given},
        }

    def change(self, id: str, olds: Document, news: Document, changed: set[str]) -> set[str]:
        if health := _health(news):
            self.elb.modify_target_group(TargetGroupArn=id, **health)
        self._delay(id, news)
        return {"healthCheck", "deregistrationDelay"}

    def _delay(self, id: str, inputs: Document) -> None:
        if "deregistrationDelay" in inputs:
            value = str(int(inputs["deregistrationDelay"]))
            attributes = [{"Key": "deregistration_delay.timeout_seconds", "Value": value}]
            self.elb.modify_target_group_attributes(TargetGroupArn=id, Attributes=attributes)

    def drop(self, id: str) -> None:
        self.elb.delete_target_group(TargetGroupArn=id)


class Listener(_OfElb):
    token = "aws:lb/listener:Listener"
    kind = Kind(
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

    def make(self, inputs: Document) -> str:
        if inputs.get("protocol") == "HTTPS" and "certificateArn" not in inputs:
            raise CloudError("ValidationError: A certificate must be specified for HTTPS listeners")
        given = {**_listening(inputs), **self.plain_tags(inputs)}
        made = self.elb.create_listener(LoadBalancerArn=inputs["loadBalancerArn"], **given)
        return made["Listeners"][0]["ListenerArn"]

    def live(self, id: str) -> Document | None:
        [found] = self.elb.describe_listeners(ListenerArns=[id])["Listeners"]
        return {"arn": id, "port": found["Port"], "protocol": found["Protocol"]}

    def change(self, id: str, olds: Document, news: Document, changed: set[str]) -> set[str]:
        self.elb.modify_listener(ListenerArn=id, **_listening(news))
        return {"port", "protocol", "sslPolicy", "certificateArn", "defaultActions"}

    def drop(self, id: str) -> None:
        self.elb.delete_listener(ListenerArn=id)


class Attachment(_OfElb):
    token = "aws:lb/targetGroupAttachment:TargetGroupAttachment"
    kind = Kind(
        inputs={"targetGroupArn!": str, "targetId!": str, "port": int}, replaces=("targetGroupArn", "targetId", "port")
    )

    def make(self, inputs: Document) -> str:
        target = {"Id": inputs["targetId"], "Port": int(inputs.get("port", 80))}
        self.elb.register_targets(TargetGroupArn=inputs["targetGroupArn"], Targets=[target])
        return f"{inputs['targetGroupArn']}|{inputs['targetId']}|{target['Port']}"

    def live(self, id: str) -> Document | None:
        group, target, port = id.split("|")
        told = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        ids = [each["Target"]["Id"] for each in told if each["TargetHealth"]["State"] != "unused"]
        return {"targetGroupArn": group, "targetId": target, "port": int(port)} if target in ids else None

    def drop(self, id: str) -> None:
        group, target, port = id.split("|")
        self.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": target, "Port": int(port)}])


_TEXTS = {"path": "HealthCheckPath", "protocol": "HealthCheckProtocol", "port": "HealthCheckPort"}
_NUMBERS = {
    "interval": "HealthCheckIntervalSeconds", "timeout": "HealthCheckTimeoutSeconds",
    "healthyThreshold": "HealthyThresholdCount", "unhealthyThreshold": "UnhealthyThresholdCount",
}  # fmt: skip


def _health(inputs: Document) -> Document:
    given: Document = inputs.get("healthCheck", {})
    found: Document = {theirs: given[ours] for ours, theirs in _TEXTS.items() if ours in given}
    found |= {theirs: int(given[ours]) for ours, theirs in _NUMBERS.items() if ours in given}
    if "matcher" in given:
        found["Matcher"] = {"HttpCode": given["matcher"]}
    return found


def _listening(inputs: Document) -> Document:
    found: Document = {"Port": int(inputs["port"]), "Protocol": inputs["protocol"], "DefaultActions": []}
    if "certificateArn" in inputs:
        found["Certificates"] = [{"CertificateArn": inputs["certificateArn"]}]
    if "sslPolicy" in inputs:
        found["SslPolicy"] = inputs["sslPolicy"]
    for action in inputs["defaultActions"]:
        if action["type"] == "forward":
            found["DefaultActions"].append({"Type": "forward", "TargetGroupArn": action["targetGroupArn"]})
        else:
            given: Document = action["redirect"]
            redirect = {key[0].upper() + key[1:]: value for key, value in given.items()}
            found["DefaultActions"].append({"Type": "redirect", "RedirectConfig": redirect})
    return found


def _logs(given: Document, told: dict[str, str]) -> Document:
    """Of logs that are off the provider doesn't compare the bucket, which AWS still knows."""
    enabled = told["access_logs.s3.enabled"] == "true"
    return {"bucket": told["access_logs.s3.bucket"] if enabled else given["bucket"], "enabled": enabled}


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float | int) else str(value)


def _like(given: Any, told: str) -> Any:
    """What AWS tells as text, as it was given."""
    if isinstance(given, bool):
        return told == "true"
    return float(told) if isinstance(given, float | int) else told


TYPES: list[type[Resource]] = [LoadBalancer, TargetGroup, Listener, Attachment]
