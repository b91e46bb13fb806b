"""Base class of the targets' volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pulumi

from components import volumes
from components.target import Server


class VolumeComponent(pulumi.ComponentResource):
    """Registers the outputs that every volume has, and attaches the volume once."""

    # The names of the attachment's inputs.
    VOLUME_INPUT: ClassVar[str]
    SERVER_INPUT: ClassVar[str]

    volume_id: pulumi.Output[str]
    path: pulumi.Output[str]
    location: pulumi.Output[str]
    _label: str
    _child_opts: pulumi.ResourceOptions
    _outage_seconds: int
    _attachment: pulumi.CustomResource | None = None

    def _register(
        self, *, volume_id: pulumi.Output[str], path: pulumi.Output[str], location: pulumi.Output[str]
    ) -> None:
        self.volume_id, self.path, self.location = volume_id, path, location
        self.register_outputs({"volume_id": volume_id, "path": path, "location": location})

    def attach(self, server: Server, depends_on: Sequence[pulumi.Resource]) -> pulumi.CustomResource:
        """The attachment to ``server``: see ``components.target.Volume``."""
        if self._attachment is None:
            options = volumes.attachment_options(
                self._label,
                depends_on,
                volume=self.VOLUME_INPUT,
                server=self.SERVER_INPUT,
                outage_seconds=self._outage_seconds,
            )
            self._attachment = self._attached(server, pulumi.ResourceOptions.merge(self._child_opts, options))
        return self._attachment

    def _attached(self, server: Server, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
        """Declares the attachment of this target."""
        raise NotImplementedError
