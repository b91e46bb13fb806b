"""What the volumes of all targets share: the unmount before a detachment, and what previews say and refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi.dynamic import Resource
from pulumi.runtime import rpc
from pulumi_command import remote

from components import volume_size
from components.errors import UserError
from components.unmounting import UnmountProvider

# tests/clouds/test_storage.py measures 6 to 10 s, with a watch of 1 s.
RESTART_SECONDS = 10
# In which a real cloud detaches a volume and attaches it.
MOVE_SECONDS = 20
# Between the server's processes and SIGKILL. A longer setting stopTimeout would prolong the outage.
STOP_SECONDS = 60


class Unmount(Resource, module="gantry", name="Unmount"):
    """Does nothing while the volume is attached. Its deletion comes before the attachment's, and unmounts the volume.

    It has the attachment's id as a property. So Pulumi deletes it first when it replaces the attachment.
    """

    def __init__(
        self,
        name: str,
        connection: remote.ConnectionArgs,
        attachment: pulumi.CustomResource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "attachment": attachment.id,
            "host": connection.host,
            "user": connection.user,
            "host_key": connection.host_key,
            "private_key": pulumi.Output.secret(connection.private_key),
            "seconds": STOP_SECONDS,
        }
        super().__init__(UnmountProvider(), f"{name}-unmount", inputs, opts)


def kept(*, deletable: bool) -> pulumi.ResourceOptions:
    """The options of a volume in a cloud: it is deleted only on purpose."""
    # Without the protection in the state, as after `pulumi state unprotect`, the volume still stays in the account.
    return pulumi.ResourceOptions(protect=not deletable, retain_on_delete=not deletable)


def never_smaller(name: str) -> pulumi.ResourceHookBinding:
    """A hook for a volume with the input ``size``. A preview refuses a smaller one, too."""
    hook = pulumi.ResourceHook(f"{name}-size", _refuse_smaller, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceHookBinding(before_update=[hook])


def _refuse_smaller(args: pulumi.ResourceHookArgs) -> None:
    old, new = (args.old_inputs or {}).get("size"), (args.new_inputs or {}).get("size")
    if old is not None and new is not None and (text := volume_size.mistake(int(old), int(new))):
        raise UserError(text)


def outage_seconds(watch: int) -> int:
    """How long the site is down, about, when its volume moves. It answers after the ``watch``, in seconds."""
    return RESTART_SECONDS + MOVE_SECONDS + watch


def attachment_options(
    name: str,
    depends_on: Sequence[pulumi.Resource],
    *,
    volume: str,
    server: str,
    outage_seconds: int,
) -> pulumi.ResourceOptions:
    """The options of an attachment: an earlier one is deleted first, and a preview says what it means for the site.

    ``volume`` and ``server`` are the names of the attachment's inputs.
    """

    def announce(args: pulumi.ResourceHookArgs) -> None:
        inputs = args.new_inputs or {}
        text = announcement(inputs, volume=volume, server=server, outage_seconds=outage_seconds)
        if pulumi.runtime.is_dry_run() and text:
            pulumi.log.warn(f"{name}: {text}")

    hook = pulumi.ResourceHook(f"{name}-announcement", announce, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceOptions(
        delete_before_replace=True,
        depends_on=depends_on,
        hooks=pulumi.ResourceHookBinding(before_create=[hook]),
    )


def announcement(inputs: Mapping[str, Any], *, volume: str, server: str, outage_seconds: int) -> str | None:
    """The sentence for an attachment that is created. A preview knows the ids of what exists already."""
    has_volume, has_server = (_is_known(inputs.get(key)) for key in (volume, server))
    outage = f"the site is down for about {outage_seconds} s"
    if has_volume and has_server:
        # An `up` that failed before has created this server.
        return f"the volume is attached to this server, and the app stops before that: {outage}"
    if has_volume:
        return f"the server is replaced, and its volume moves to the new one: {outage}"
    if has_server:
        return "the app is stopped while the data that it has is copied to the new volume"
    return None


def _is_known(value: object) -> bool:
    return isinstance(value, str | int | float) and value not in ("", rpc.UNKNOWN)
