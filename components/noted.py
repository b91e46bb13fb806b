"""The provider of resources that only note in the state what they are about."""

from __future__ import annotations

from typing import Any

from pulumi.dynamic import CreateResult, DiffResult, ResourceProvider, UpdateResult


class Noted(ResourceProvider):
    """Another server, or whatever ``about`` names, makes another resource; nothing else is done."""

    about = "instance_id"
    # Pickled into the state by its name: what subclasses do is in functions of their modules.
    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props[self.about]), props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = [key for key in _news if key != "__provider" and _news[key] != _olds.get(key)]
        return DiffResult(changes=bool(changed), replaces=[key for key in changed if key == self.about])

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_news)
