"""AWS: the targets of load balancers, and how their health is checked."""

from __future__ import annotations

from tests.clouds.aws_balancing import ELB_PROTOCOL, NAME, ElbResource
from tests.clouds.aws_resource import AwsResource
from tests.clouds.input_rules import between, matching, one_of
from tests.clouds.resource_schema import ResourceSchema
from tests.clouds.simulated_cloud import Document

# AWS's parameters of a target group, by the input of its health check.
_TEXT_PARAMETERS = {"path": "HealthCheckPath", "protocol": "HealthCheckProtocol", "port": "HealthCheckPort"}
_NUMBER_PARAMETERS = {
    "interval": "HealthCheckIntervalSeconds", "timeout": "HealthCheckTimeoutSeconds",
    "healthyThreshold": "HealthyThresholdCount", "unhealthyThreshold": "UnhealthyThresholdCount",
}  # fmt: skip
_DRAIN_DELAY = "deregistration_delay.timeout_seconds"
_HEALTH_CHECK_PORT = r"traffic-port|[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5]"


class TargetGroup(ElbResource, module="lb"):
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
        name=NAME,
        computed=("healthCheck", "healthCheck.path", "healthCheck.matcher", "healthCheck.timeout"),
        # The provider keeps the delay as a text in the state, so that it can also be unset.
        spellings={"deregistrationDelay": float, "healthCheck.protocol": str.upper},
        defaults={
            "targetType": "instance", "deregistrationDelay": 300,
            "healthCheck.protocol": "HTTP", "healthCheck.port": "traffic-port", "healthCheck.interval": 30,
            "healthCheck.healthyThreshold": 3, "healthCheck.unhealthyThreshold": 3,
        },
        rules={
            "port": between(1, 65535), "protocol": ELB_PROTOCOL,
            "targetType": one_of("instance", "ip", "lambda", "alb"),
            "deregistrationDelay": between(0, 3600),
            "healthCheck.path": matching("/.{0,1023}"), "healthCheck.port": matching(_HEALTH_CHECK_PORT),
            "healthCheck.protocol": matching("(?i:HTTP|HTTPS|TCP)"),
            "healthCheck.interval": between(5, 300), "healthCheck.timeout": between(2, 120),
            "healthCheck.healthyThreshold": between(2, 10),
            "healthCheck.unhealthyThreshold": between(2, 10),
        },
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        response = self.elb.create_target_group(
            Name=inputs["name"],
            TargetType=inputs["targetType"],
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
        inputs: Document = self.cloud.recorded_inputs.get((type(self), id), {}).get("healthCheck", health_check)
        attributes = self.elb.describe_target_group_attributes(TargetGroupArn=id)["Attributes"]
        return {
            "arn": id,
            "arnSuffix": id.rpartition(":")[2],
            "healthCheck": {key: value for key, value in health_check.items() if key in inputs},
            "deregistrationDelay": {entry["Key"]: entry["Value"] for entry in attributes}[_DRAIN_DELAY],
        }

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        if parameters := _health_check_parameters(news):
            self.elb.modify_target_group(TargetGroupArn=id, **parameters)
        self._set_drain_delay(id, news)
        return {"healthCheck", "deregistrationDelay"}

    def api_delete(self, id: str) -> None:
        self.elb.delete_target_group(TargetGroupArn=id)

    def _set_drain_delay(self, id: str, inputs: Document) -> None:
        attributes = [{"Key": _DRAIN_DELAY, "Value": str(int(inputs["deregistrationDelay"]))}]
        self.elb.modify_target_group_attributes(TargetGroupArn=id, Attributes=attributes)


class TargetGroupAttachment(ElbResource, module="lb"):
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


TYPES: list[type[AwsResource]] = [TargetGroup, TargetGroupAttachment]
