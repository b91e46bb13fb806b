"""A bucket for a balancer's access logs."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

DAYS = 90
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
DELIVERER = "logdelivery.elasticloadbalancing.amazonaws.com"


class AccessLogs(pulumi.ComponentResource):
    """An encrypted bucket that only load balancers write and only the account reads. Logs are deleted after 90 days."""

    bucket: pulumi.Output[str]

    def __init__(self, name: str, protect: bool, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:aws:AccessLogs", name, None, opts)
        # With protect, the logs and their settings stay even if somebody removed the protection from the state.
        self._child_opts = pulumi.ResourceOptions(parent=self, retain_on_delete=protect)
        bucket = aws.s3.Bucket(
            name,
            force_destroy=not protect,
            opts=pulumi.ResourceOptions.merge(self._child_opts, pulumi.ResourceOptions(protect=protect)),
        )
        block = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child_opts,
        )
        self._encrypt(name, bucket)
        bucket_policy = aws.s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=bucket.arn.apply(policy),
            opts=pulumi.ResourceOptions.merge(self._child_opts, pulumi.ResourceOptions(depends_on=[block])),
        )
        # The balancer checks that it may write. The provider waits about 30 s until a lifecycle is in force everywhere,
        # and waits for nothing else of a bucket. The policy is created before the lifecycle, so it is in force by then.
        self.bucket = self._expire(name, bucket, bucket_policy).bucket
        self.register_outputs({"bucket": self.bucket})

    def _encrypt(self, name: str, bucket: aws.s3.Bucket) -> None:
        default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            # Access logs can have no other kind of encryption.
            sse_algorithm="AES256"
        )
        rule = aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(apply_server_side_encryption_by_default=default)
        aws.s3.BucketServerSideEncryptionConfiguration(name, bucket=bucket.bucket, rules=[rule], opts=self._child_opts)

    def _expire(
        self, name: str, bucket: aws.s3.Bucket, bucket_policy: aws.s3.BucketPolicy
    ) -> aws.s3.BucketLifecycleConfiguration:
        rule = aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="expire",
            status="Enabled",
            filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
            expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=DAYS),
        )
        opts = pulumi.ResourceOptions.merge(self._child_opts, pulumi.ResourceOptions(depends_on=[bucket_policy]))
        return aws.s3.BucketLifecycleConfiguration(name, bucket=bucket.bucket, rules=[rule], opts=opts)


def policy(arn: str) -> str:
    """Load balancers may write, and every request needs TLS."""
    deliver = {
        "Effect": "Allow",
        "Principal": {"Service": DELIVERER},
        "Action": "s3:PutObject",
        "Resource": f"{arn}/AWSLogs/*",
    }
    plain = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [deliver, plain]})
