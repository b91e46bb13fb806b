"""A volume on DigitalOcean. DigitalOcean encrypts every volume, and makes no snapshots by a schedule."""

from __future__ import annotations

import pulumi
import pulumi_digitalocean as do

from components import naming, volumes
from components.digitalocean.network import Network
from components.target import Server, VolumeArgs
from components.volume_component import VolumeComponent

# https://docs.digitalocean.com/products/volumes/how-to/mount/
PATH = "/dev/disk/by-id/scsi-0DO_Volume_{}"
# The policy pack refuses a volume that has neither the protection nor this tag.
DELETABLE_TAG = "deletable"


class Volume(VolumeComponent):
    """A volume in the region of the stack's droplets, which is empty until its server makes a file system."""

    VOLUME_INPUT, SERVER_INPUT = "volumeId", "dropletId"

    def __init__(self, name: str, args: VolumeArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:digitalocean:Volume", name, None, opts)
        self._label, network = naming.droplet_volume(name), args.network
        self._child_opts = pulumi.ResourceOptions(parent=self)
        volume = do.Volume(
            self._label,
            region=network.region,
            size=args.gigabytes,
            tags=[DELETABLE_TAG] if args.deletable else None,
            opts=pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions.merge(self._child_opts, volumes.kept(deletable=args.deletable)),
                # A volume of an earlier version has a description, and another one would replace the volume.
                pulumi.ResourceOptions(ignore_changes=["description"], hooks=volumes.never_smaller(name)),
            ),
        )
        self._outage_seconds = args.outage_seconds
        self._register(
            volume_id=volume.id,
            path=pulumi.Output.format(PATH, volume.name),
            location=volume.region,
        )

    def _attached(self, server: Server, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
        return do.VolumeAttachment(
            self._label, droplet_id=server.instance_id.apply(int), volume_id=self.volume_id, opts=opts
        )
