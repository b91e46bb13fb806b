"""A bucket for a balancer's access logs."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

DAYS = 90
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
DELIVERER = "logdelivery.elasticloadbalancing.amazonaws.com"


class AccessLogs(pulumi.ComponentResource):
    """Encrypted, for nobody but the account, and for 90 days; written by the load balancers alone."""

    bucket: pulumi.Output[str]

    def __init__(self, name: str, protect: bool, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:aws:AccessLogs", name, None, opts)
        # With protect the logs outlive even a stack whose protection was taken out of its state, and stay as closed.
        child = pulumi.ResourceOptions(parent=self, retain_on_delete=protect)
        bucket = aws.s3.Bucket(
            name,
            force_destroy=not protect,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(protect=protect)),
        )
        blocked = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        by_default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            # The only kind that access logs can have.
            sse_algorithm="AES256"
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=by_default
                )
            ],
            opts=child,
        )
        written = aws.s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=bucket.arn.apply(policy),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[blocked])),
        )
        expiration = aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=DAYS)
        every = aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
        expiring = aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="expire", status="Enabled", filter=every, expiration=expiration
                )
            ],
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[written])),
        )
        # A balancer that is to write must find that it may. The provider waits, some 30 s, until S3 has taken on the
        # rules of a lifecycle everywhere, and for nothing else of a bucket: the policy before them is in force by then.
        self.bucket = expiring.bucket
        self.register_outputs({"bucket": self.bucket})


def policy(arn: str) -> str:
    """Load balancers may write, and nobody may come without TLS."""
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
