"""Base provider for marker resources: they record what they belong to and do nothing else.

Pulumi pickles a provider into the state by the names of its module and class. A subclass only calls functions of its
module, so an edit of these functions doesn't change a resource.
"""

from __future__ import annotations

from typing import Any

from pulumi.dynamic import CreateResult, DiffResult, ResourceProvider, UpdateResult

from components.provider_process import end_with_the_engine

end_with_the_engine()


class MarkerProvider(ResourceProvider):
    """A change of the input that ``about`` names replaces a marker. A change of another input updates it."""

    about = "instance_id"
    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props[self.about]), props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = [key for key in _news if key != "__provider" and _news[key] != _olds.get(key)]
        return DiffResult(changes=bool(changed), replaces=[key for key in changed if key == self.about])

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_news)
