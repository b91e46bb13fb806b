"""DigitalOcean: projects, the resources in them, and tags."""

from __future__ import annotations

from collections.abc import Collection

from tests.clouds.digitalocean_resource import StoredResource
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

    def read(self, id: str) -> Document | None:
        # Where the project is gone, the provider clears the id and then fails:
        # https://github.com/digitalocean/terraform-provider-digitalocean/blob/main/digitalocean/project/
        self.cloud.get(self.collection, id)
        return super().read(id)

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
    """The resources in a project. Its id is the project's.

    The account stores the project only with balancers.
    """

    collection = "project_resources"
    tolerates_missing = True
    schema = ResourceSchema(inputs={"project!": str, "resources!": [str]}, replaces=("project",))

    def new_document(self, inputs: Document) -> Document:
        self.cloud.get("project", inputs["project"])
        self._check(inputs)
        self._move_balancers(inputs["resources"], inputs["project"])
        return {**inputs, "id": inputs["project"]}

    def read(self, id: str) -> Document | None:
        document = super().read(id)
        if document is None or id not in self.cloud.documents("project"):
            return None
        balancers = self.cloud.documents("load_balancer").values()
        urns_elsewhere = {balancer["loadBalancerUrn"] for balancer in balancers if balancer["projectId"] != id}
        return {**document, "resources": [urn for urn in document["resources"] if urn not in urns_elsewhere]}

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        self._check(news)
        self._move_balancers(set(olds["resources"]) - set(news["resources"]), DEFAULT_PROJECT)
        self._move_balancers(news["resources"], id)

    def before_delete(self, id: str) -> None:
        self._move_balancers(self.cloud.get(self.collection, id)["resources"], DEFAULT_PROJECT)

    def _move_balancers(self, urns: Collection[str], project: str) -> None:
        for balancer in self.cloud.documents("load_balancer").values():
            if balancer["loadBalancerUrn"] in urns:
                balancer["projectId"] = project

    def _check(self, inputs: Document) -> None:
        existing_urns = {
            document[urn_key]
            for collection, urn_key in _URN_KEYS.items()
            for document in self.cloud.documents(collection).values()
        }
        if unknown_urns := set(inputs["resources"]) - existing_urns:
            raise CloudError(f"422: {', '.join(sorted(unknown_urns))} can't be in a project, or doesn't exist")


class Tag(StoredResource):
    collection = "tag"
    schema = ResourceSchema(inputs={"name": str}, replaces=("name",), name=NameInput(pattern=r"[\w:-]+"))

    def new_document(self, inputs: Document) -> Document:
        return {**inputs, "id": inputs["name"]}


TYPES = (Project, ProjectResources, Tag)
