"""DigitalOcean: volumes and their attachments."""

from __future__ import annotations

from tests.clouds.digitalocean_resource import StoredResource, check_region
from tests.clouds.faults import CloudError
from tests.clouds.resource_schema import NameInput, ResourceSchema
from tests.clouds.simulated_cloud import Document

SIZES = range(1, 16384 + 1)


class Volume(StoredResource):
    collection = "volume"
    # The provider's delete accepts that the volume is gone.
    tolerates_missing = True
    schema = ResourceSchema(
        inputs={
            "region!": str, "size!": int, "name": str, "description": str, "snapshotId": str,
            "initialFilesystemType": str, "initialFilesystemLabel": str, "tags": [str],
        },
        outputs=("volumeUrn", "dropletIds", "filesystemType", "filesystemLabel"),
        replaces=(
            "region", "name", "description", "snapshotId", "initialFilesystemType", "initialFilesystemLabel",
        ),
        name=NameInput(limit=64, pattern=r"[a-z][a-z0-9-]*"),
    )  # fmt: skip

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
    tolerates_missing = True
    schema = ResourceSchema(inputs={"dropletId!": int, "volumeId!": str}, replaces=("dropletId", "volumeId"))

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

    def before_delete(self, id: str) -> None:
        volume = self.cloud.documents("volume").get(self.cloud.get("volume_attachment", id)["volumeId"])
        if volume:
            self.cloud.infrastructure.detach_volume(volume["id"])
            volume["dropletIds"] = []


TYPES = (Volume, VolumeAttachment)
