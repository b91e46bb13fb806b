"""The rules of the setting ``storage``."""

from __future__ import annotations

from collections.abc import Iterator

# https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html,
# https://docs.digitalocean.com/products/volumes/details/limits/
MAX_GB = 16384


def conflicts(servers: int, storage: int | None) -> Iterator[tuple[tuple[str, ...], str]]:
    """The mistake that several servers would need one volume each."""
    if storage and servers > 1:
        yield (
            ("storage", "servers"),
            f"storage is {storage}, but a volume belongs to one server, and servers is {servers}: keep one server"
            " with: pulumi config set servers 1; or keep the data in a database or a bucket, and remove the volume"
            " with: pulumi config rm storage",
        )
