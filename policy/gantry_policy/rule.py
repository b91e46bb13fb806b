"""Rules as values: pure functions over what is declared. Nothing here knows of Pulumi."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Props = Mapping[str, Any]


def has(props: Props, key: str) -> bool:
    """Whether it is set, be it to what a preview can't know yet: to read such a value would end the rule there."""
    return key in list(props)


def part(props: Props, key: str) -> Props:
    """The map that is there, or an empty one."""
    return props.get(key) or {}


def parts(props: Props, key: str) -> Sequence[Props]:
    """The maps of a list, or none."""
    return props.get(key) or ()


def texts(props: Props, key: str) -> Sequence[str]:
    """The texts of a list, or none."""
    return props.get(key) or ()


def word(props: Props, key: str) -> str:
    """The text in lower case, in which it is compared: providers take it in any. Empty where there is none."""
    return str(props.get(key) or "").lower()


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource as it is declared; ``uses`` has, by property, the URNs of those whose outputs are in it.

    Links are followed by ``uses`` and never by ids, since a preview knows no ids.
    """

    urn: str
    type: str
    name: str
    props: Props
    uses: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


class Stack:
    """All resources of a stack."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._resources = resources

    def of(self, *types: str) -> list[Resource]:
        return [each for each in self._resources if each.type in types]

    def used_by(self, users: Sequence[Resource], *properties: str) -> set[str]:
        """The URNs of what those properties of ``users`` are made from."""
        return {urn for user in users for each in properties for urn in user.uses.get(each, ())}

    def users_of(self, used: Resource, kind: str, *properties: str) -> list[Resource]:
        """The resources of type ``kind`` of which one of these properties is made from ``used``."""
        return [each for each in self.of(kind) if used.urn in self.used_by([each], *properties)]


@dataclass(frozen=True)
class Rule:
    """A promise about each resource of some types: what is wrong with its properties, and what mends it."""

    name: str
    promise: str
    types: tuple[str, ...]
    check: Callable[[Props], Iterator[str]]

    def violations(self, stack: Stack) -> Iterator[tuple[Resource, str]]:
        for resource in stack.of(*self.types):
            for message in self.check(resource.props):
                yield resource, message


@dataclass(frozen=True)
class StackRule:
    """A promise about how resources stand to each other."""

    name: str
    promise: str
    check: Callable[[Stack], Iterator[tuple[Resource, str]]]

    def violations(self, stack: Stack) -> Iterator[tuple[Resource, str]]:
        return self.check(stack)


class Rules:
    """The rules of one module; a rule is named by its function, and its docstring is the promise."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.all: list[Rule | StackRule] = []

    def about(self, *types: str) -> Callable[[Callable[[Props], Iterator[str]]], Callable[[Props], Iterator[str]]]:
        """For a rule over the properties of one resource."""

        def add(check: Callable[[Props], Iterator[str]]) -> Callable[[Props], Iterator[str]]:
            self.all.append(Rule(self._named(check), _promise(check), types, check))
            return check

        return add

    def across(
        self, check: Callable[[Stack], Iterator[tuple[Resource, str]]]
    ) -> Callable[[Stack], Iterator[tuple[Resource, str]]]:
        """For a rule over a whole stack."""
        self.all.append(StackRule(self._named(check), _promise(check), check))
        return check

    def _named(self, check: Callable[..., object]) -> str:
        return f"{self._prefix}-{check.__name__.replace('_', '-')}"


def _promise(check: Callable[..., object]) -> str:
    return (check.__doc__ or "").strip()
