"""The dynamic resources of the local target.

Pulumi pickles a provider into the state by the names of its module and class: keep both, and keep the classes
this small. What they do is in lifecycle.py, so that an edit of it is no change of any resource.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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

from components.local import lifecycle, machine
from components.local.host import LocalError

Properties = dict[str, Any]


def _checked(check: Callable[[Properties, Properties], Properties], olds: Properties, news: Properties) -> CheckResult:
    """What can't work here is an answer that the engine shows to the user; an exception would come as a traceback."""
    try:
        return CheckResult(check(olds, news), [])
    except LocalError as error:
        return CheckResult(news, [CheckFailure("", str(error))])


class NetworkProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: Properties, news: Properties) -> CheckResult:
        return _checked(lifecycle.check_network, _olds, news)

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        change = lifecycle.diff_network(_id, _olds, _news)
        return DiffResult(changes=change.changes, replaces=list(change.replaces))

    def create(self, props: Properties) -> CreateResult:
        return CreateResult(props["network_id"], lifecycle.create_network(props))

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        return UpdateResult(lifecycle.update_network(_id, _news))

    def read(self, id_: str, props: Properties) -> ReadResult:
        outputs = lifecycle.read_network(id_, props)
        return ReadResult(id_, outputs) if outputs else ReadResult("", {})

    def delete(self, _id: str, _props: Properties) -> None:
        machine.destroy_network(_id)


class MachineProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: Properties, news: Properties) -> CheckResult:
        return _checked(lifecycle.check_machine, _olds, news)

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        change = lifecycle.diff_machine(_id, _olds, _news)
        return DiffResult(changes=change.changes, replaces=list(change.replaces))

    def create(self, props: Properties) -> CreateResult:
        return CreateResult(props["machine_id"], lifecycle.create_machine(props))

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        return UpdateResult(lifecycle.update_machine(_id, _olds))

    def read(self, id_: str, props: Properties) -> ReadResult:
        outputs = lifecycle.read_machine(id_, props)
        return ReadResult(id_, outputs) if outputs else ReadResult("", {})

    def delete(self, _id: str, _props: Properties) -> None:
        machine.destroy(_id)


class NetworkResource(Resource, module="gantry/local", name="Network"):
    """A bridge on this computer; its id is the name of the bridge."""

    range: pulumi.Output[str]
    gateway: pulumi.Output[str]
    status: pulumi.Output[str]

    def __init__(self, name: str, *, owner: str, cidr: str | None, opts: pulumi.ResourceOptions | None = None) -> None:
        outputs = {"range": None, "gateway": None, "status": None}
        super().__init__(NetworkProvider(), name, {"owner": owner, "cidr": cidr, **outputs}, opts)


class MachineResource(Resource, module="gantry/local", name="Machine"):
    """A booted machine; its id tells it from the one it replaces."""

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
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "network": network,
            "hostname": hostname,
            # It holds the key that the machine is known by at first contact.
            "user_data": pulumi.Output.secret(user_data),
            "image": image,
        }
        super().__init__(MachineProvider(), name, {**inputs, "address": None, "status": None}, opts)
