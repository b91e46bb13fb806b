"""Rules as values: pure functions of declared resources, without Pulumi."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Props = Mapping[str, Any]
# Each yields one message per violation: what is wrong, and how to fix it.
Check = Callable[[Props], Iterator[str]]


def is_set(props: Props, key: str) -> bool:
    """Whether the property is set, even if a preview doesn't know its value yet.

    This looks only at the keys, because a rule that reads an unknown value ends there.
    """
    return key in list(props)


def mapping(props: Props, key: str) -> Props:
    """The mapping at ``key``; empty if it isn't set."""
    return props.get(key) or {}


def mappings(props: Props, key: str) -> Sequence[Props]:
    """The list of mappings at ``key``; empty if it isn't set."""
    return props.get(key) or ()


def texts(props: Props, key: str) -> Sequence[str]:
    """The list of strings at ``key``; empty if it isn't set."""
    return props.get(key) or ()


def lower(props: Props, key: str) -> str:
    """The string at ``key`` in lower case, because providers ignore case; empty if it isn't set."""
    return str(props.get(key) or "").lower()


def unless(props: Props, key: str, *, value: bool | int | str) -> Iterator[str]:
    """Yields a violation unless the property has this value."""
    actual = props.get(key)
    if actual != value:
        found = "isn't set" if actual is None else f"is {_shown(actual)}"
        yield f"{key} {found}: set it to {_shown(value)}"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A declared resource.

    ``uses`` maps each property to the URNs of the resources whose outputs are in it. Rules follow these links and
    never ids, because a preview doesn't know ids.
    """

    urn: str
    type: str
    name: str
    props: Props
    uses: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    # Whether Pulumi refuses to delete it.
    protected: bool = False


class Stack:
    """All resources of a stack."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._resources = resources

    def with_types(self, *types: str) -> list[Resource]:
        """The resources of these types."""
        return [resource for resource in self._resources if resource.type in types]

    def urns_used_by(self, users: Sequence[Resource], *properties: str) -> set[str]:
        """The URNs of the resources that these properties of ``users`` refer to."""
        return {urn for user in users for name in properties for urn in user.uses.get(name, ())}

    def users_of(self, used: Resource, type_: str, *properties: str) -> list[Resource]:
        """The resources of type ``type_`` that refer to ``used`` in one of these properties."""
        return [
            resource for resource in self.with_types(type_) if used.urn in self.urns_used_by([resource], *properties)
        ]


StackCheck = Callable[[Stack], Iterator[tuple[Resource, str]]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule about each resource of some types."""

    name: str
    description: str
    types: tuple[str, ...]
    check: Check

    def violations(self, stack: Stack) -> Iterator[tuple[Resource, str]]:
        for resource in stack.with_types(*self.types):
            for message in self.check(resource.props):
                yield resource, message


@dataclass(frozen=True, kw_only=True)
class StackRule:
    """A rule about how the resources of a stack refer to each other."""

    name: str
    description: str
    check: StackCheck

    def violations(self, stack: Stack) -> Iterator[tuple[Resource, str]]:
        return self.check(stack)


def unprotected(stack: Stack, type_: str) -> Iterator[tuple[Resource, str]]:
    """The resources of this type that Pulumi would delete, and whose tags don't say that this is on purpose."""
    for resource in stack.with_types(type_):
        if not resource.protected and "deletable" not in [str(tag).lower() for tag in resource.props.get("tags") or ()]:
            yield resource, "it isn't protected: protect it, or say on purpose with the tag deletable that it may go"


class Rules:
    """The rules of one module. A decorated function becomes a rule with its name; its docstring is the description."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.all: list[Rule | StackRule] = []

    def about(self, *types: str) -> Callable[[Check], Check]:
        """Decorates a rule about the properties of one resource."""

        def decorator(check: Check) -> Check:
            self.add(name=_name(check), description=_description(check), types=types, check=check)
            return check

        return decorator

    def across(self, check: StackCheck) -> StackCheck:
        """Decorates a rule about a whole stack."""
        rule = StackRule(name=self._prefixed(_name(check)), description=_description(check), check=check)
        self.all.append(rule)
        return check

    def require(self, type_: str, key: str, *, value: bool | int | str, name: str, description: str) -> None:
        """Adds a rule: in each resource of this type, the property ``key`` must have this value."""
        self.add(
            name=name, description=description, types=(type_,), check=lambda props: unless(props, key, value=value)
        )

    def add(self, *, name: str, description: str, types: tuple[str, ...], check: Check) -> None:
        self.all.append(Rule(name=self._prefixed(name), description=description, types=types, check=check))

    def _prefixed(self, name: str) -> str:
        return f"{self._prefix}-{name}"


def _name(check: Callable[..., object]) -> str:
    return check.__name__.replace("_", "-")


def _description(check: Callable[..., object]) -> str:
    return (check.__doc__ or "").strip()
