"""DigitalOcean: projects, the resources in them, and tags."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tests.clouds.digitalocean_resource import PROJECT_KEY, StoredResource
from tests.clouds.faults import CloudError
from tests.clouds.resource_schema import NameInput, ResourceSchema
from tests.clouds.simulated_cloud import Document

# The project of resources for which the program names none.
DEFAULT_PROJECT = "default"
# By collection, the key of the URN by which a project has a resource.
_URN_KEYS = {
    "droplet": "dropletUrn",
    "load_balancer": "loadBalancerUrn",
    "reserved_ip": "reservedIpUrn",
    "domain": "domainUrn",
}


class Project(StoredResource):
    collection = "project"
    schema = ResourceSchema(
        inputs={"name": str, "description": str, "purpose": str, "environment": str},
        outputs=("ownerUuid", "createdAt"),
        name=NameInput(limit=175),
    )

    def new_document(self, inputs: Document) -> Document:
        self.cloud.check_unique("project", "name", inputs["name"])
        return {**inputs, "ownerUuid": "owner", "createdAt": "2026-01-01T00:00:00Z"}

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        self.cloud.check_unique("project", "name", news["name"], except_id=id)

    def before_delete(self, id: str) -> None:
        memberships = self.cloud.documents("project_resources").values()
        balancers = self.cloud.documents("load_balancer").values()
        if any(membership["project"] == id for membership in memberships) or any(
            balancer["projectId"] == id for balancer in balancers
        ):
            raise CloudError("412 precondition_failed: cannot delete a project with resources")


class ProjectResources(StoredResource):
    """The resources in a project. Its id is the project's."""

    collection = "project_resources"
    tolerates_missing = True
    schema = ResourceSchema(inputs={"project!": str, "resources!": [str]}, replaces=("project",))

    def new_document(self, inputs: Document) -> Document:
        self.cloud.get("project", inputs["project"])
        self._check(inputs)
        self._move(inputs["resources"], inputs["project"])
        return {**inputs, "id": inputs["project"]}

    def read(self, id: str) -> Document | None:
        document = super().read(id)
        if document is None or id not in self.cloud.documents("project"):
            return None
        members = {urn for urn, member, key in self._members() if member.get(key) == id}
        return {**document, "resources": [urn for urn in document["resources"] if urn in members]}

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        self._check(news)
        self._move(set(olds["resources"]) - set(news["resources"]), DEFAULT_PROJECT)
        self._move(news["resources"], id)

    def before_delete(self, id: str) -> None:
        """Moves its resources to the default project, also those that a new ProjectResources has just taken.

        Both have the id of the project, so this double has only the newer one of them.
        """
        self._move(self.cloud.get(self.collection, id)["resources"], DEFAULT_PROJECT)

    def _move(self, urns: Collection[str], project: str) -> None:
        for urn, document, key in self._members():
            if urn in urns:
                document[key] = project

    def _members(self) -> Iterator[tuple[str, Document, str]]:
        """Everything that can be in a project: its URN, its document, and the key of its project there."""
        for collection, urn_key in _URN_KEYS.items():
            # Only balancers return their project.
            key = "projectId" if collection == "load_balancer" else PROJECT_KEY
            for document in self.cloud.documents(collection).values():
                yield document[urn_key], document, key

    def _check(self, inputs: Document) -> None:
        if unknown_urns := set(inputs["resources"]) - {urn for urn, _, _ in self._members()}:
            raise CloudError(f"422: {', '.join(sorted(unknown_urns))} can't be in a project, or doesn't exist")


class Tag(StoredResource):
    collection = "tag"
    schema = ResourceSchema(inputs={"name": str}, replaces=("name",), name=NameInput(pattern=r"[\w:-]+"))

    def new_document(self, inputs: Document) -> Document:
        return {**inputs, "id": inputs["name"]}


TYPES = (Project, ProjectResources, Tag)
