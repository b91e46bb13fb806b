"""DigitalOcean: buckets of Spaces, and keys for them."""

from __future__ import annotations

import secrets

from tests.clouds.digitalocean_resource import NAME, StoredResource, check_choice, check_region
from tests.clouds.faults import CloudError
from tests.clouds.input_rules import one_of
from tests.clouds.resource_schema import ResourceSchema
from tests.clouds.simulated_cloud import Document

SPACES_REGIONS = ("ams3", "atl1", "blr1", "fra1", "lon1", "nyc3", "sfo2", "sfo3", "sgp1", "syd1", "tor1")


class SpacesBucket(StoredResource):
    """Its id is its name."""

    collection = "spaces_bucket"
    schema = ResourceSchema(
        inputs={"name": str, "region": str, "acl": str, "forceDestroy": bool, "versioning": {"enabled": bool}},
        outputs=("bucketDomainName", "bucketUrn", "endpoint"),
        replaces=("region",),
        name=NAME,
        spellings={"region": str.lower},
        defaults={"acl": "private", "region": "nyc3"},
        rules={"region": one_of(*SPACES_REGIONS, any_case=True)},
    )
    name_pattern = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"

    def new_document(self, inputs: Document) -> Document:
        check_region(inputs)
        check_choice("acl", inputs.get("acl", "private"), {"private", "public-read"})
        self.cloud.check_unique("spaces_bucket", "name", inputs["name"])
        endpoint = f"{inputs['region']}.digitaloceanspaces.com"
        return {
            **inputs,
            "id": inputs["name"],
            "endpoint": endpoint,
            "bucketDomainName": f"{inputs['name']}.{endpoint}",
            "bucketUrn": f"do:space:{inputs['name']}",
        }


class SpacesKey(StoredResource):
    """Its id is the public part of the key."""

    collection = "spaces_key"
    schema = ResourceSchema(
        inputs={"name": str, "grants": [{"bucket!": str, "permission!": str}]},
        outputs=("accessKey", "secretKey", "createdAt"),
        name=NAME,
    )
    name_pattern = r"[A-Za-z0-9._-]+"

    def new_document(self, inputs: Document) -> Document:
        for grant in inputs.get("grants", []):
            check_choice("permission", grant["permission"], {"read", "readwrite", "fullaccess"})
            if grant["permission"] != "fullaccess" and grant["bucket"] not in self.cloud.documents("spaces_bucket"):
                raise CloudError(f"422: bucket {grant['bucket']} does not exist")
        key = f"DO{secrets.token_hex(9).upper()}"
        return {**inputs, "id": key, "accessKey": key, "secretKey": secrets.token_urlsafe(32)}

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        """A change of the grants keeps the key."""


TYPES = (SpacesBucket, SpacesKey)
