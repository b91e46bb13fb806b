"""A private bucket, with a key that reads and writes only its objects: on AWS and on DigitalOcean."""

from __future__ import annotations

import json

import pulumi

from components import naming
from components.aws.settings import AwsSettings
from components.digitalocean.settings import DigitalOceanSettings
from components.errors import UserError
from components.settings.common import Settings
from components.variables import Variable


class Bucket(pulumi.ComponentResource):
    """``variables`` has what boto3 and the app need. The names are boto3's own, apart from ``S3_BUCKET``."""

    bucket: pulumi.Output[str]
    variables: dict[str, Variable]


def bucket_for(stack: str, settings: Settings) -> Bucket:
    """A bucket in the servers' cloud; raises UserError for a target that is no cloud."""
    name = naming.label(f"{stack}-files")
    if isinstance(settings.target_settings, AwsSettings):
        return S3Bucket(name, settings.target_settings.region)
    if isinstance(settings.target_settings, DigitalOceanSettings):
        return SpacesBucket(name, settings.target_settings.region)
    raise UserError(
        f"target is {settings.target}, which has no buckets: choose aws or digitalocean with:"
        " pulumi config set target <target>"
    )


class S3Bucket(Bucket):
    """An encrypted S3 bucket."""

    def __init__(self, name: str, region: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("with-bucket:aws:Bucket", name, None, opts)
        import pulumi_aws as aws

        tags = {"Project": pulumi.get_project(), "Stack": pulumi.get_stack()}
        provider = aws.Provider(
            name,
            region=region,
            default_tags=aws.ProviderDefaultTagsArgs(tags=tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        child_opts = pulumi.ResourceOptions(parent=self, provider=provider)
        # `destroy` fails while the bucket has objects: nothing is lost in silence.
        bucket = aws.s3.Bucket(name, opts=child_opts)
        algorithm = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="AES256"
        )
        rule = aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(apply_server_side_encryption_by_default=algorithm)
        aws.s3.BucketServerSideEncryptionConfiguration(name, bucket=bucket.bucket, rules=[rule], opts=child_opts)
        aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child_opts,
        )
        user = aws.iam.User(name, opts=child_opts)
        aws.iam.UserPolicy(name, user=user.name, policy=bucket.arn.apply(_read_and_write), opts=child_opts)
        key = aws.iam.AccessKey(name, user=user.name, opts=child_opts)
        self.bucket = bucket.bucket
        self.variables = {
            "S3_BUCKET": bucket.bucket,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": key.id,
            "AWS_SECRET_ACCESS_KEY": pulumi.Output.secret(key.secret),
        }
        self.register_outputs({"bucket": self.bucket})


class SpacesBucket(Bucket):
    """A bucket of DigitalOcean Spaces, which speak S3's protocol."""

    def __init__(self, name: str, region: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("with-bucket:digitalocean:Bucket", name, None, opts)
        import pulumi_digitalocean as do

        child_opts = pulumi.ResourceOptions(parent=self)
        bucket = do.SpacesBucket(name, region=region, acl="private", opts=child_opts)
        grant = do.SpacesKeyGrantArgs(bucket=bucket.name, permission="readwrite")
        key = do.SpacesKey(name, grants=[grant], opts=child_opts)
        self.bucket = bucket.name
        self.variables = {
            "S3_BUCKET": bucket.name,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL_S3": f"https://{region}.digitaloceanspaces.com",
            "AWS_ACCESS_KEY_ID": key.access_key,
            "AWS_SECRET_ACCESS_KEY": pulumi.Output.secret(key.secret_key),
        }
        self.register_outputs({"bucket": self.bucket})


def _read_and_write(arn: str) -> str:
    """The policy of a user that reads, writes and lists the objects of one bucket."""
    objects = {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        "Resource": f"{arn}/*",
    }
    listing = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn}
    return json.dumps({"Version": "2012-10-17", "Statement": [objects, listing]})
