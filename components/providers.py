"""Base provider for marker resources: they record what they belong to and do nothing else.

Pulumi pickles a provider into the state by the names of its module and class. What subclasses do is in functions of
their modules, so that an edit of it is no change of a resource.
"""

from __future__ import annotations

from typing import Any

from pulumi.dynamic import CreateResult, DiffResult, ResourceProvider, UpdateResult


class MarkerProvider(ResourceProvider):
    """A marker is replaced when the input that ``about`` names changes, and updated when another one does."""

    about = "instance_id"
    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props[self.about]), props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = [key for key in _news if key != "__provider" and _news[key] != _olds.get(key)]
        return DiffResult(changes=bool(changed), replaces=[key for key in changed if key == self.about])

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_news)
