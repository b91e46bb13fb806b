"""The operations and changes that both resources of the local target share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

Properties = dict[str, Any]

# What a preview shows for a resource that `up` repairs in place, by the resource's status.
_REPAIRS = {
    "stopped": "running again (found stopped)",
    "unreachable": "running again (found without its network)",
    "down": "up again (found down)",
}
_REPLACEMENT = "made anew (found gone)"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What `up` would do: nothing, an update in place, or a replacement because of these properties."""

    changes: bool
    replaces: tuple[str, ...] = ()


class Lifecycle(Protocol):
    """The operations of a resource, as a module: network_lifecycle or machine_lifecycle.

    ``olds`` and ``news`` are the resource's properties in the state and in the program.
    """

    @property
    def ID_KEY(self) -> str:
        """The property with the resource's id."""
        ...

    def check(self, olds: Properties, news: Properties) -> Properties:
        """The complete inputs: with a new id for a new resource, or with the address and status of an existing one."""
        ...

    def diff(self, id: str, olds: Properties, news: Properties) -> Change: ...

    def create(self, props: Properties) -> Properties:
        """Creates the resource; returns its outputs."""
        ...

    def update(self, id: str, olds: Properties, news: Properties) -> Properties:
        """Repairs the resource; returns its outputs."""
        ...

    def read(self, id: str, props: Properties) -> Properties | None:
        """The outputs of the resource as it is now, or None if it doesn't exist."""
        ...

    def delete(self, id: str) -> None: ...


def status_in_preview(status: str, healthy: str) -> str:
    """A preview shows this as the status after `up`. ``status`` is the resource's status now."""
    return healthy if status == healthy else _REPAIRS.get(status, _REPLACEMENT)


def change_by_status(status: str) -> Change:
    """The change of a resource whose inputs are the same."""
    if status in _REPAIRS:
        return Change(changes=True)
    if status in ("gone", "half-made"):
        return Change(changes=True, replaces=("status",))
    return Change(changes=False)
