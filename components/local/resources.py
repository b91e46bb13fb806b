"""The dynamic resources of the local target.

Pulumi pickles a provider into the state by the names of its module and class, so neither name may change. The classes
only call the lifecycle modules, so an edit of those doesn't change a resource.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from components.local import machine_lifecycle, network_lifecycle, volume_lifecycle
from components.local.computer import LocalError
from components.local.lifecycle import Lifecycle, Properties
from components.providers import MarkerProvider


class _Provider(ResourceProvider):
    """Calls the operations of ``lifecycle`` for Pulumi."""

    lifecycle: ClassVar[Lifecycle]
    serialize_as_secret_always = False

    def check(self, _olds: Properties, news: Properties) -> CheckResult:
        try:
            return CheckResult(self.lifecycle.check(_olds, news), [])
        except LocalError as error:
            # The engine shows a failed check as text. It would show an exception with its traceback.
            return CheckResult(news, [CheckFailure("", str(error))])

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        change = self.lifecycle.diff(_id, _olds, _news)
        return DiffResult(changes=change.changes, replaces=list(change.replaces))

    def create(self, props: Properties) -> CreateResult:
        return CreateResult(props[self.lifecycle.ID_KEY], self.lifecycle.create(props))

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        return UpdateResult(self.lifecycle.update(_id, _olds, _news))

    def read(self, id_: str, props: Properties) -> ReadResult:
        outputs = self.lifecycle.read(id_, props)
        return ReadResult(id_, outputs) if outputs else ReadResult("", {})

    def delete(self, _id: str, _props: Properties) -> None:
        self.lifecycle.delete(_id)


class NetworkProvider(_Provider):
    """The provider of NetworkResource."""

    lifecycle = network_lifecycle


class MachineProvider(_Provider):
    """The provider of MachineResource."""

    lifecycle = machine_lifecycle


class VolumeProvider(_Provider):
    """The provider of VolumeResource."""

    lifecycle = volume_lifecycle


class VolumeAttachmentProvider(MarkerProvider):
    """The provider of VolumeAttachmentResource."""

    about = "machine"

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        changed = [key for key in ("machine", "volume") if _news.get(key) != _olds.get(key)]
        return DiffResult(changes=bool(changed), replaces=changed)


class NetworkResource(Resource, module="gantry/local", name="Network"):
    """A bridge on this computer. Its id is the name of the bridge."""

    range: pulumi.Output[str]
    gateway: pulumi.Output[str]
    status: pulumi.Output[str]

    def __init__(self, name: str, *, owner: str, cidr: str | None, opts: pulumi.ResourceOptions | None = None) -> None:
        outputs = {"range": None, "gateway": None, "status": None}
        super().__init__(NetworkProvider(), name, {"owner": owner, "cidr": cidr, **outputs}, opts)


class MachineResource(Resource, module="gantry/local", name="Machine"):
    """A running machine. Its id differs from that of a machine that it replaces."""

    address: pulumi.Output[str]
    status: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        network: pulumi.Input[str],
        hostname: str,
        user_data: pulumi.Input[str],
        image: str | None = None,
        volume: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs: dict[str, Any] = {
            "network": network,
            "hostname": hostname,
            # It contains the private host key for the first SSH connection.
            "user_data": pulumi.Output.secret(user_data),
            "image": image,
        }
        # Machines without a volume, and states of earlier versions, have no such property.
        if volume is not None:
            inputs["volume"] = volume
        super().__init__(MachineProvider(), name, {**inputs, "address": None, "status": None}, opts)


class VolumeResource(Resource, module="gantry/local", name="Volume"):
    """A folder on this computer that outlives machines."""

    def __init__(
        self, name: str, *, owner: str, size: int, deletable: bool, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        inputs: dict[str, Any] = {"owner": owner, "size": size}
        # States of earlier versions have no such property.
        if deletable:
            inputs["deletable"] = True
        super().__init__(VolumeProvider(), name, inputs, opts)


class VolumeAttachmentResource(Resource, module="gantry/local", name="VolumeAttachment"):
    """Records which machine uses the volume. Machines see the folder from their boot on.

    It is replaced before another machine mounts the folder, and the old machine unmounts before that.
    """

    def __init__(
        self,
        name: str,
        *,
        volume: pulumi.Input[str],
        machine: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(VolumeAttachmentProvider(), name, {"volume": volume, "machine": machine}, opts)
