"""AWS: buckets and their settings."""

from __future__ import annotations

from tests.clouds import aws_rules
from tests.clouds.aws_resource import AwsResource
from tests.clouds.input_rules import one_of
from tests.clouds.resource_schema import NameInput, ResourceSchema
from tests.clouds.simulated_cloud import Document


class Bucket(AwsResource, module="s3"):
    schema = ResourceSchema(
        inputs={"bucket": str, "forceDestroy": bool, "tags": dict},
        outputs=("arn", "bucketDomainName", "tagsAll"),
        replaces=("bucket",),
        name=NameInput(input="bucket", limit=63, pattern=r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
        defaults={"forceDestroy": False},
    )

    def api_create(self, inputs: Document) -> str:
        location = {"LocationConstraint": self.cloud.region}
        self.cloud.client("s3").create_bucket(Bucket=inputs["bucket"], CreateBucketConfiguration=location)
        return inputs["bucket"]

    def api_read(self, id: str) -> Document | None:
        names = {bucket["Name"] for bucket in self.cloud.client("s3").list_buckets()["Buckets"]}
        return {"bucket": id, "arn": f"arn:aws:s3:::{id}"} if id in names else None

    def api_delete(self, id: str) -> None:
        self.cloud.client("s3").delete_bucket(Bucket=id)


class _BucketSetting(AwsResource):
    """A setting of a bucket. Its id is the bucket's, and it goes with the bucket."""

    def put(self, inputs: Document) -> None:
        """Replace the setting."""
        raise NotImplementedError

    def api_create(self, inputs: Document) -> str:
        self.put(inputs)
        return inputs["bucket"]

    def api_read(self, id: str) -> Document | None:
        is_recorded = (type(self), id) in self.cloud.recorded_inputs
        return {"bucket": id} if Bucket(self.cloud).api_read(id) and is_recorded else None

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        self.put(news)
        return changes

    def api_delete(self, id: str) -> None:
        pass


class BucketPublicAccessBlock(_BucketSetting, module="s3"):
    _FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    schema = ResourceSchema(
        inputs={"bucket!": str, **dict.fromkeys(_FLAGS, bool)},
        replaces=("bucket",),
        defaults=dict.fromkeys(_FLAGS, False),
    )

    def put(self, inputs: Document) -> None:
        flags = {flag[0].upper() + flag[1:]: inputs.get(flag, False) for flag in self._FLAGS}
        self.cloud.client("s3").put_public_access_block(Bucket=inputs["bucket"], PublicAccessBlockConfiguration=flags)


class BucketServerSideEncryptionConfiguration(_BucketSetting, module="s3"):
    schema = ResourceSchema(
        inputs={
            "bucket!": str,
            "rules!": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm!": str}, "bucketKeyEnabled": bool}],
        },
        replaces=("bucket",),
        sets=("rules",),
        rules={"rules.applyServerSideEncryptionByDefault.sseAlgorithm": one_of("AES256", "aws:kms", "aws:kms:dsse")},
    )

    def put(self, inputs: Document) -> None:
        algorithms = [rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] for rule in inputs["rules"]]
        settings = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}} for algorithm in algorithms]
        self.cloud.client("s3").put_bucket_encryption(
            Bucket=inputs["bucket"], ServerSideEncryptionConfiguration={"Rules": settings}
        )


class BucketLifecycleConfiguration(_BucketSetting, module="s3"):
    schema = ResourceSchema(
        inputs={
            "bucket!": str,
            "rules!": [{"id!": str, "status!": str, "filter": {"prefix": str}, "expiration": {"days": int}}],
        },
        replaces=("bucket",),
        rules={"rules.status": one_of("Enabled", "Disabled")},
    )

    def put(self, inputs: Document) -> None:
        settings = [
            {
                "ID": rule["id"], "Status": rule["status"], "Filter": {"Prefix": rule["filter"]["prefix"]},
                "Expiration": {"Days": int(rule["expiration"]["days"])},
            }
            for rule in inputs["rules"]
        ]  # fmt: skip
        self.cloud.client("s3").put_bucket_lifecycle_configuration(
            Bucket=inputs["bucket"], LifecycleConfiguration={"Rules": settings}
        )


class BucketPolicy(_BucketSetting, module="s3"):
    schema = ResourceSchema(
        inputs={"bucket!": str, "policy!": str},
        replaces=("bucket",),
        spellings={"policy": aws_rules.policy},
        rules={"policy": aws_rules.json_object},
    )

    def put(self, inputs: Document) -> None:
        self.cloud.client("s3").put_bucket_policy(Bucket=inputs["bucket"], Policy=inputs["policy"])


TYPES: list[type[AwsResource]] = [
    Bucket,
    BucketPublicAccessBlock,
    BucketServerSideEncryptionConfiguration,
    BucketLifecycleConfiguration,
    BucketPolicy,
]
