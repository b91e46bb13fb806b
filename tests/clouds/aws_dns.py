"""AWS: DNS records, and certificates that are validated by DNS records."""

from __future__ import annotations

from typing import Any

from tests.clouds import aws_rules
from tests.clouds.aws_resource import AwsResource
from tests.clouds.certificates import self_signed
from tests.clouds.faults import CloudError
from tests.clouds.input_rules import all_of, conflict, each, matching, one_of
from tests.clouds.resource_schema import ResourceSchema
from tests.clouds.simulated_cloud import Document

_RECORD_TYPES = (
    "A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF", "SRV", "SSHFP", "SVCB",
    "TLSA", "TXT",
)  # fmt: skip


class Certificate(AwsResource, module="acm"):
    schema = ResourceSchema(
        inputs={"domainName": str, "subjectAlternativeNames": [str], "validationMethod": str, "tags": dict},
        outputs=("arn", "domainValidationOptions", "status", "tagsAll"),
        replaces=("domainName", "subjectAlternativeNames", "validationMethod"),
        computed=("domainName", "subjectAlternativeNames", "validationMethod"),
        sets=("subjectAlternativeNames",),
        rules={
            "domainName": matching(r".*[^.]"),
            "subjectAlternativeNames": each(matching(r".{0,252}[^.]")),
            "validationMethod": one_of("DNS", "EMAIL", "HTTP", "NONE"),
        },
    )

    def api_create(self, inputs: Document) -> str:
        domains = [inputs["domainName"], *inputs.get("subjectAlternativeNames", [])]
        response = self.cloud.client("acm").request_certificate(
            DomainName=inputs["domainName"],
            ValidationMethod=inputs["validationMethod"],
            SubjectAlternativeNames=domains,
            **self.service_tags(inputs),
        )
        id: str = response["CertificateArn"]
        self.cloud.certificates[id] = self_signed(domains)
        return id

    def api_read(self, id: str) -> Document | None:
        certificate = self.cloud.client("acm").describe_certificate(CertificateArn=id)["Certificate"]
        records = [
            {
                "domainName": option["DomainName"],
                "resourceRecordName": option["ResourceRecord"]["Name"],
                "resourceRecordType": option["ResourceRecord"]["Type"],
                "resourceRecordValue": option["ResourceRecord"]["Value"],
            }
            for option in certificate["DomainValidationOptions"]
        ]
        return {"arn": id, "domainValidationOptions": records}

    def api_delete(self, id: str) -> None:
        self.cloud.client("acm").delete_certificate(CertificateArn=id)
        self.cloud.certificates.pop(id, None)


class CertificateValidation(AwsResource, module="acm"):
    """Exists only in the provider: it waits until the certificate is issued, which needs its DNS records."""

    schema = ResourceSchema(
        inputs={"certificateArn!": str, "validationRecordFqdns": [str]},
        replaces=("certificateArn", "validationRecordFqdns"),
        sets=("validationRecordFqdns",),
        rules={"certificateArn": aws_rules.arn},
    )

    def api_create(self, inputs: Document) -> str:
        certificate = Certificate(self.cloud).api_read(inputs["certificateArn"])
        assert certificate
        record_ids = set(self.cloud.recorded_ids(Record))
        for option in certificate["domainValidationOptions"]:
            name = option["resourceRecordName"].rstrip(".")
            if not any(name in id for id in record_ids):
                raise CloudError(f"the certificate is not issued: there is no record {name} that proves the domain")
        return f"validated {inputs['certificateArn']}"

    def api_read(self, id: str) -> Document | None:
        return {}

    def api_delete(self, id: str) -> None:
        pass


class Record(AwsResource, module="route53"):
    schema = ResourceSchema(
        inputs={
            "zoneId!": str, "name!": str, "type!": str, "ttl": int, "records": [str], "allowOverwrite": bool,
            "aliases": [{"name!": str, "zoneId!": str, "evaluateTargetHealth!": bool}],
        },
        outputs=("fqdn",),
        replaces=("zoneId", "name", "type"),
        computed=("allowOverwrite",),
        sets=("records",),
        spellings={"name": aws_rules.host_name, "aliases.name": aws_rules.balancer_name},
        rules={
            "": all_of(aws_rules.exactly_one_of("aliases", "records"), conflict("aliases", "ttl")),
            "type": one_of(*_RECORD_TYPES), "aliases.name": matching(".{1,1024}"),
        },
    )  # fmt: skip

    def api_create(self, inputs: Document) -> str:
        self._change("UPSERT" if inputs.get("allowOverwrite") else "CREATE", inputs)
        return f"{inputs['zoneId']}_{inputs['name'].rstrip('.')}_{inputs['type']}"

    def api_read(self, id: str) -> Document | None:
        zone, _, name_and_type = id.partition("_")
        name, _, record_type = name_and_type.rpartition("_")
        records = self.cloud.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        for record in records:
            if record["Name"].rstrip(".") == name and record["Type"] == record_type:
                values = [entry["Value"] for entry in record.get("ResourceRecords", [])]
                return {"fqdn": name, **({"records": values} if values else {})}
        return None

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        self._change("UPSERT", news)
        return {"records", "ttl", "aliases", "allowOverwrite"}

    def api_delete(self, id: str) -> None:
        if self.api_read(id):
            self._change("DELETE", self.cloud.recorded_inputs[type(self), id])

    def _change(self, action: str, inputs: Document) -> None:
        record: dict[str, Any] = {"Name": inputs["name"], "Type": inputs["type"]}
        if "aliases" in inputs:
            [alias] = inputs["aliases"]
            target = {"HostedZoneId": alias["zoneId"], "DNSName": alias["name"]}
            record["AliasTarget"] = {**target, "EvaluateTargetHealth": alias["evaluateTargetHealth"]}
        else:
            record["TTL"] = int(inputs["ttl"])
            record["ResourceRecords"] = [{"Value": value} for value in inputs["records"]]
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        self.cloud.client("route53").change_resource_record_sets(HostedZoneId=inputs["zoneId"], ChangeBatch=batch)


TYPES: list[type[AwsResource]] = [Certificate, CertificateValidation, Record]
