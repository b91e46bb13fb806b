"""AWS: certificates, names and buckets."""

from __future__ import annotations

import json
from typing import Any

from tests.clouds.aws import Document, Resource
from tests.clouds.certificates import self_signed
from tests.clouds.faults import CloudError
from tests.clouds.resource_schema import Kind, Name


class Certificate(Resource):
    shows = False
    token = "aws:acm/certificate:Certificate"
    kind = Kind(
        inputs={"domainName": str, "subjectAlternativeNames": [str], "validationMethod": str, "tags": dict},
        outputs=("arn", "domainValidationOptions", "status", "tagsAll"),
        replaces=("domainName", "subjectAlternativeNames", "validationMethod"),
    )

    def make(self, inputs: Document) -> str:
        domains = [inputs["domainName"], *inputs.get("subjectAlternativeNames", [])]
        made = self.cloud.client("acm").request_certificate(
            DomainName=inputs["domainName"],
            ValidationMethod=inputs["validationMethod"],
            SubjectAlternativeNames=domains,
            **self.plain_tags(inputs),
        )
        id: str = made["CertificateArn"]
        self.cloud.certificates[id] = self_signed(domains)
        return id

    def live(self, id: str) -> Document | None:
        found = self.cloud.client("acm").describe_certificate(CertificateArn=id)["Certificate"]
        records = [
            {
                "domainName": each["DomainName"],
                "resourceRecordName": each["ResourceRecord"]["Name"],
                "resourceRecordType": each["ResourceRecord"]["Type"],
                "resourceRecordValue": each["ResourceRecord"]["Value"],
            }
            for each in found["DomainValidationOptions"]
        ]
        return {"arn": id, "domainValidationOptions": records}

    def drop(self, id: str) -> None:
        self.cloud.client("acm").delete_certificate(CertificateArn=id)
        self.cloud.certificates.pop(id, None)


class CertificateValidation(Resource):
    """Nothing in AWS: it waits until the certificate is issued, for which its records must be there."""

    shows = False
    token = "aws:acm/certificateValidation:CertificateValidation"
    kind = Kind(
        inputs={"certificateArn!": str, "validationRecordFqdns": [str]},
        replaces=("certificateArn", "validationRecordFqdns"),
    )

    def make(self, inputs: Document) -> str:
        wanted = Certificate(self.cloud).live(inputs["certificateArn"])
        assert wanted
        there = {record for type_, record in self.cloud.given if type_ is Record}
        for option in wanted["domainValidationOptions"]:
            name = option["resourceRecordName"].rstrip(".")
            if not any(name in record for record in there):
                raise CloudError(f"the certificate is not issued: there is no record {name} that proves the domain")
        return f"validated {inputs['certificateArn']}"

    def live(self, id: str) -> Document | None:
        return {}

    def drop(self, id: str) -> None:
        pass


class Record(Resource):
    shows = False
    token = "aws:route53/record:Record"
    kind = Kind(
        inputs={
            "zoneId!": str, "name!": str, "type!": str, "ttl": int, "records": [str], "allowOverwrite": bool,
            "aliases": [{"name!": str, "zoneId!": str, "evaluateTargetHealth!": bool}],
        },
        outputs=("fqdn",),
        replaces=("zoneId", "name", "type"),
    )  # fmt: skip

    def make(self, inputs: Document) -> str:
        id = f"{inputs['zoneId']}_{inputs['name'].rstrip('.')}_{inputs['type']}"
        self._do("UPSERT" if inputs.get("allowOverwrite") else "CREATE", inputs)
        return id

    def live(self, id: str) -> Document | None:
        zone, name, kind = id.split("_", 2)[0], id.partition("_")[2].rpartition("_")[0], id.rpartition("_")[2]
        told = self.cloud.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        found = next((each for each in told if each["Name"].rstrip(".") == name and each["Type"] == kind), None)
        if found is None:
            return None
        values = [each["Value"] for each in found.get("ResourceRecords", [])]
        return {"fqdn": name, **({"records": values} if values else {})}

    def change(self, id: str, olds: Document, news: Document, changed: set[str]) -> set[str]:
        self._do("UPSERT", news)
        return {"records", "ttl", "aliases", "allowOverwrite"}

    def drop(self, id: str) -> None:
        if self.live(id):
            self._do("DELETE", self.cloud.given[type(self), id])

    def _do(self, action: str, inputs: Document) -> None:
        record: dict[str, Any] = {"Name": inputs["name"], "Type": inputs["type"]}
        if "aliases" in inputs:
            [alias] = inputs["aliases"]
            target = {"HostedZoneId": alias["zoneId"], "DNSName": alias["name"]}
            record["AliasTarget"] = {**target, "EvaluateTargetHealth": alias["evaluateTargetHealth"]}
        else:
            record["TTL"] = int(inputs["ttl"])
            record["ResourceRecords"] = [{"Value": each} for each in inputs["records"]]
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        self.cloud.client("route53").change_resource_record_sets(HostedZoneId=inputs["zoneId"], ChangeBatch=batch)


class Bucket(Resource):
    shows = False
    token = "aws:s3/bucket:Bucket"
    kind = Kind(
        inputs={"bucket": str, "forceDestroy": bool, "tags": dict},
        outputs=("arn", "bucketDomainName", "tagsAll"),
        replaces=("bucket",),
        name=Name(input="bucket", limit=63, pattern=r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    )

    def make(self, inputs: Document) -> str:
        where = {"LocationConstraint": self.cloud.region}
        self.cloud.client("s3").create_bucket(Bucket=inputs["bucket"], CreateBucketConfiguration=where)
        return inputs["bucket"]

    def live(self, id: str) -> Document | None:
        there = {each["Name"] for each in self.cloud.client("s3").list_buckets()["Buckets"]}
        return {"bucket": id, "arn": f"arn:aws:s3:::{id}"} if id in there else None

    def drop(self, id: str) -> None:
        self.cloud.client("s3").delete_bucket(Bucket=id)


class _OfBucket(Resource):
    """A setting of a bucket, whose id is the bucket's."""

    shows = False

    def make(self, inputs: Document) -> str:
        self.put(inputs)
        return inputs["bucket"]

    def put(self, inputs: Document) -> None:
        raise NotImplementedError

    def live(self, id: str) -> Document | None:
        return {"bucket": id} if Bucket(self.cloud).live(id) and (type(self), id) in self.cloud.given else None

    def change(self, id: str, olds: Document, news: Document, changed: set[str]) -> set[str]:
        self.put(news)
        return changed

    def drop(self, id: str) -> None:
        pass


class PublicAccessBlock(_OfBucket):
    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    _FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    kind = Kind(inputs={"bucket!": str, **dict.fromkeys(_FLAGS, bool)}, replaces=("bucket",))

    def put(self, inputs: Document) -> None:
        flags = {flag[0].upper() + flag[1:]: inputs.get(flag, False) for flag in self._FLAGS}
        self.cloud.client("s3").put_public_access_block(Bucket=inputs["bucket"], PublicAccessBlockConfiguration=flags)


class Encryption(_OfBucket):
    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    kind = Kind(
        inputs={
            "bucket!": str,
            "rules!": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm!": str}, "bucketKeyEnabled": bool}],
        },
        replaces=("bucket",),
    )

    def put(self, inputs: Document) -> None:
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": {
                    "SSEAlgorithm": each["applyServerSideEncryptionByDefault"]["sseAlgorithm"]
                }
            }
            for each in inputs["rules"]
        ]
        configuration = {"Rules": rules}
        self.cloud.client("s3").put_bucket_encryption(
            Bucket=inputs["bucket"], ServerSideEncryptionConfiguration=configuration
        )


class Lifecycle(_OfBucket):
    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    kind = Kind(
        inputs={
            "bucket!": str,
            "rules!": [{"id!": str, "status!": str, "filter": {"prefix": str}, "expiration": {"days": int}}],
        },
        replaces=("bucket",),
    )

    def put(self, inputs: Document) -> None:
        rules = [
            {
                "ID": each["id"], "Status": each["status"], "Filter": {"Prefix": each["filter"]["prefix"]},
                "Expiration": {"Days": int(each["expiration"]["days"])},
            }
            for each in inputs["rules"]
        ]  # fmt: skip
        self.cloud.client("s3").put_bucket_lifecycle_configuration(
            Bucket=inputs["bucket"], LifecycleConfiguration={"Rules": rules}
        )


class BucketPolicy(_OfBucket):
    token = "aws:s3/bucketPolicy:BucketPolicy"
    kind = Kind(inputs={"bucket!": str, "policy!": str}, replaces=("bucket",))

    def put(self, inputs: Document) -> None:
        json.loads(inputs["policy"])
        self.cloud.client("s3").put_bucket_policy(Bucket=inputs["bucket"], Policy=inputs["policy"])


TYPES: list[type[Resource]] = [
    Certificate, CertificateValidation, Record, Bucket, PublicAccessBlock, Encryption, Lifecycle, BucketPolicy,
]  # fmt: skip
