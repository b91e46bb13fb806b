"""A volume on this computer: a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components.local.network import Network
from components.local.resources import VolumeAttachmentResource, VolumeResource
from components.target import Server, VolumeArgs
from components.volume_component import VolumeComponent
from host.paths import Paths


class Volume(VolumeComponent):
    """A folder that machines see at ``path``. Nothing limits the size of the data in it.

    Its provider refuses to delete the data unless the volume is deletable, or `make destroy` deletes the stack.
    """

    VOLUME_INPUT, SERVER_INPUT = "volume", "machine"

    def __init__(self, name: str, args: VolumeArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:local:Volume", name, None, opts)
        self._label, self._child_opts = name, pulumi.ResourceOptions(parent=self)
        owner = f"{pulumi.get_project()}/{pulumi.get_stack()}/{name}@{Path.cwd()}"
        volume = VolumeResource(name, owner=owner, size=args.gigabytes, deletable=args.deletable, opts=self._child_opts)
        self._outage_seconds = args.outage_seconds
        self._register(
            volume_id=volume.id,
            path=pulumi.Output.from_input(str(Paths().volume)),
            location=volume.id,
        )

    def _attached(self, server: Server, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
        return VolumeAttachmentResource(self._label, volume=self.volume_id, machine=server.instance_id, opts=opts)
