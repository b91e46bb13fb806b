"""A volume on this computer: a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pulumi

from components import volumes
from components.local.network import Network
from components.local.resources import VolumeAttachmentResource, VolumeResource
from components.target import Server, VolumeArgs
from host.paths import Paths


class Volume(pulumi.ComponentResource):
    """A folder that machines see at ``path``. Nothing limits the size of the data in it.

    Its provider refuses to delete the data unless the volume is deletable, or `make destroy` deletes the stack.
    """

    volume_id: pulumi.Output[str]
    path: pulumi.Output[str]
    location: pulumi.Output[str]

    def __init__(self, name: str, args: VolumeArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:local:Volume", name, None, opts)
        self._name, self._child_opts = name, pulumi.ResourceOptions(parent=self)
        owner = f"{pulumi.get_project()}/{pulumi.get_stack()}/{name}@{Path.cwd()}"
        self._volume = VolumeResource(
            name, owner=owner, size=args.gigabytes, deletable=args.deletable, opts=self._child_opts
        )
        self._outage_seconds = args.outage_seconds
        self._attachment: VolumeAttachmentResource | None = None
        self.path = pulumi.Output.from_input(str(Paths().volume))
        self.location = self._volume.id
        self.volume_id = self._volume.id
        self.register_outputs({"volume_id": self.volume_id, "path": self.path, "location": self.location})

    def attach(self, server: Server, depends_on: Sequence[pulumi.Resource]) -> pulumi.CustomResource:
        if self._attachment is None:
            self._attachment = VolumeAttachmentResource(
                self._name,
                volume=self._volume.id,
                machine=server.instance_id,
                opts=pulumi.ResourceOptions.merge(
                    self._child_opts,
                    volumes.attachment_options(
                        self._name,
                        depends_on,
                        volume="volume",
                        server="machine",
                        outage_seconds=self._outage_seconds,
                    ),
                ),
            )
        return self._attachment
