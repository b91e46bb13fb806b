"""DigitalOcean: volumes and their attachments."""

from __future__ import annotations

from tests.clouds.digitalocean_resource import NAME, StoredResource, check_region
from tests.clouds.digitalocean_rules import not_empty, tag
from tests.clouds.faults import CloudError
from tests.clouds.input_rules import at_least, each, one_of
from tests.clouds.resource_schema import ResourceSchema
from tests.clouds.simulated_cloud import Document

SIZES = range(1, 16384 + 1)


class Volume(StoredResource):
    collection = "volume"
    schema = ResourceSchema(
        inputs={
            "region!": str, "size!": int, "name": str, "description": str, "snapshotId": str,
            "initialFilesystemType": str, "initialFilesystemLabel": str, "tags": [str],
        },
        outputs=("volumeUrn", "dropletIds", "filesystemType", "filesystemLabel"),
        replaces=(
            "region", "name", "description", "snapshotId", "initialFilesystemType", "initialFilesystemLabel",
        ),
        name=NAME,
        sets=("tags",),
        spellings={"region": str.lower, "tags": str.lower},
        rules={
            **dict.fromkeys(("description", "snapshotId", "initialFilesystemLabel"), not_empty),
            "size": at_least(1),
            "initialFilesystemType": one_of("ext4", "xfs"),
            "tags": each(tag),
        },
    )  # fmt: skip
    name_pattern, name_limit = r"[a-z][a-z0-9-]*", 64

    def new_document(self, inputs: Document) -> Document:
        check_region(inputs)
        if inputs["size"] not in SIZES:
            raise CloudError("422: size must be from 1 GiB to 16 TiB")
        self.cloud.check_unique("volume", "name", inputs["name"])
        return {**inputs, "dropletIds": [], "filesystemType": "", "filesystemLabel": ""}

    def after_create(self, id: str) -> None:
        document = self.cloud.get("volume", id)
        document["volumeUrn"] = f"do:volume:{id}"
        self.cloud.save()
        self.cloud.infrastructure.create_volume(id, int(document["size"]))

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        if news["size"] < olds["size"]:
            raise CloudError("volumes `size` can only be expanded and not shrunk")
        self.cloud.infrastructure.resize_volume(id, int(news["size"]))

    def before_delete(self, id: str) -> None:
        if self.cloud.get("volume", id)["dropletIds"]:
            raise CloudError("409: volume is still attached to a droplet")
        self.cloud.infrastructure.delete_volume(id)


class VolumeAttachment(StoredResource):
    collection = "volume_attachment"
    schema = ResourceSchema(
        inputs={"dropletId!": int, "volumeId!": str},
        replaces=("dropletId", "volumeId"),
        rules={"dropletId": not_empty, "volumeId": not_empty},
    )

    def new_document(self, inputs: Document) -> Document:
        volume = self.cloud.get("volume", inputs["volumeId"])
        droplet = self.cloud.get("droplet", str(int(inputs["dropletId"])))
        # The provider takes an attachment to this droplet as its own.
        if volume["dropletIds"] not in ([], [int(inputs["dropletId"])]):
            raise CloudError("422: volume is already attached to a droplet")
        if volume["region"] != droplet["region"]:
            raise CloudError("422: volume and droplet are in different regions")
        return inputs

    def after_create(self, id: str) -> None:
        attachment = self.cloud.get("volume_attachment", id)
        volume = self.cloud.get("volume", attachment["volumeId"])
        droplet = int(attachment["dropletId"])
        if volume["dropletIds"] == [droplet]:
            return
        volume["dropletIds"] = [droplet]
        self.cloud.save()
        self.cloud.infrastructure.attach_volume(volume["id"], str(droplet), f"scsi-0DO_Volume_{volume['name']}")

    def read(self, id: str) -> Document | None:
        return super().read(id) if self._attached_volume(id) else None

    def before_delete(self, id: str) -> None:
        volume = self._attached_volume(id)
        if volume is None:
            raise CloudError("404: the volume isn't attached to the droplet")
        self.cloud.infrastructure.detach_volume(volume["id"])
        volume["dropletIds"] = []

    def _attached_volume(self, id: str) -> Document | None:
        """The volume of an attachment that still exists."""
        attachment = self.cloud.documents(self.collection).get(id, {})
        volume = self.cloud.documents("volume").get(attachment.get("volumeId", ""))
        return volume if volume and volume["dropletIds"] == [int(attachment["dropletId"])] else None


TYPES = (Volume, VolumeAttachment)
