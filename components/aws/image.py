"""The image of EC2 servers: an official Debian image, pinned."""

from __future__ import annotations

import re

import pulumi
import pulumi_aws as aws

# Debian's own account: https://wiki.debian.org/Cloud/AmazonEC2Image
OWNER = "136693071363"
# The build of Debian 13. Another build replaces every server. A new server serves the release before the old one is
# deleted.
BUILD = "20251117-2299"


def image_name(size: str) -> str:
    """The image that an instance of this type boots from."""
    return f"debian-13-{architecture(size)}-{BUILD}"


def architecture(size: str) -> str:
    """Graviton families have a g after their generation (t4g, c8gn); a1 was the first of them."""
    return "arm64" if re.match(r"(a1|[a-z]+[0-9]+g[a-z]*)\.", size) else "amd64"


def find(size: str, opts: pulumi.InvokeOptions) -> str:
    """The image's id, which differs by region; a deprecated image still boots."""
    image = aws.ec2.get_ami(
        owners=[OWNER],
        filters=[aws.ec2.GetAmiFilterArgs(name="name", values=[image_name(size)])],
        include_deprecated=True,
        opts=opts,
    )
    return image.id
