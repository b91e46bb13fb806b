"""DigitalOcean: projects, the resources in them, and tags."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tests.clouds.digitalocean_resource import NAME, PROJECT_KEY, StoredResource
from tests.clouds.digitalocean_rules import not_empty, tag
from tests.clouds.faults import CloudBusy, CloudError
from tests.clouds.input_rules import at_most, one_of
from tests.clouds.resource_schema import ResourceSchema
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


class MemberMover(StoredResource):
    """Base of the types that move resources between projects."""

    def move(self, urns: Collection[str], project: str) -> None:
        """Move the resources that exist among these. Raises CloudError for a reserved IP that has a droplet."""
        for reserved in self.cloud.documents("reserved_ip").values():
            if "dropletId" in reserved and reserved["reservedIpUrn"] in urns:
                raise CloudError("412 Cannot move a Reserved IP with an associated Droplet. Move the Droplet instead")
        for urn, document, key in self.members():
            if urn in urns:
                document[key] = project
        self.cloud.save()

    def members(self) -> Iterator[tuple[str, Document, str]]:
        """Everything that can be in a project: its URN, its document, and the key of its project there."""
        for collection, urn_key in _URN_KEYS.items():
            # Only balancers return their project.
            key = "projectId" if collection == "load_balancer" else PROJECT_KEY
            for document in self.cloud.documents(collection).values():
                yield document[urn_key], self._owner(document), key

    def _owner(self, document: Document) -> Document:
        """The document that names the project of a resource. That of a reserved IP is its droplet's."""
        if "reservedIpUrn" in document and "dropletId" in document:
            return self.cloud.get("droplet", str(int(document["dropletId"])))
        return document

    def members_of(self, project: str) -> list[str]:
        """The URNs of all resources in a project."""
        return sorted(urn for urn, document, key in self.members() if document.get(key) == project)

    def check_urns(self, urns: Collection[str]) -> None:
        """Refuse resources that don't exist, or that no project can have."""
        if unknown_urns := set(urns) - {urn for urn, _, _ in self.members()}:
            raise CloudError(f"422: {', '.join(sorted(unknown_urns))} can't be in a project, or doesn't exist")


class Project(MemberMover):
    """A project. Its input ``resources`` names the members that the program wants; it has every member as output."""

    collection = "project"
    schema = ResourceSchema(
        inputs={"name": str, "description": str, "purpose": str, "environment": str, "resources": [str]},
        outputs=("ownerUuid", "createdAt"),
        name=NAME,
        computed=("resources",),
        sets=("resources",),
        spellings={"environment": str.lower},
        defaults={"purpose": "Web Application"},
        rules={
            "name": at_most(175),
            "description": at_most(255),
            "purpose": at_most(255),
            "environment": one_of("development", "staging", "production", any_case=True),
        },
    )

    def new_document(self, inputs: Document) -> Document:
        self.cloud.check_unique("project", "name", inputs["name"])
        self.check_urns(inputs.get("resources", []))
        return {**inputs, "ownerUuid": "owner", "createdAt": "2026-01-01T00:00:00Z"}

    def after_create(self, id: str) -> None:
        self.move(self.cloud.get("project", id).get("resources", []), id)

    def read(self, id: str) -> Document | None:
        document = super().read(id)
        return document and {**document, "resources": self.members_of(id)}

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        self.cloud.check_unique("project", "name", news["name"], except_id=id)
        old_urns, new_urns = set(olds.get("resources", [])), set(news.get("resources", []))
        self.check_urns(new_urns - old_urns)
        self.move(old_urns - new_urns, DEFAULT_PROJECT)
        self.move(new_urns - old_urns, id)

    def delete_as_recorded(self, id: str, state: Document) -> None:
        """Move the resources that the last read found to the default project, then delete the project."""
        self.move(state.get("resources", []), DEFAULT_PROJECT)
        self.delete(id)

    def before_delete(self, id: str) -> None:
        if self.members_of(id):
            raise CloudBusy("412 precondition_failed: cannot delete a project with resources")


class ProjectResources(MemberMover):
    """The resources in a project. Its id is the project's."""

    collection = "project_resources"
    tolerates_missing = True
    schema = ResourceSchema(
        inputs={"project!": str, "resources!": [str]},
        replaces=("project",),
        sets=("resources",),
        rules={"project": not_empty},
    )

    def new_document(self, inputs: Document) -> Document:
        self.cloud.get("project", inputs["project"])
        self.check_urns(inputs["resources"])
        self.move(inputs["resources"], inputs["project"])
        return {**inputs, "id": inputs["project"]}

    def read(self, id: str) -> Document | None:
        document = super().read(id)
        if document is None or id not in self.cloud.documents("project"):
            return None
        members = self.members_of(id)
        return {**document, "resources": [urn for urn in document["resources"] if urn in members]}

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        self.check_urns(news["resources"])
        self.move(set(olds["resources"]) - set(news["resources"]), DEFAULT_PROJECT)
        self.move(news["resources"], id)

    def before_delete(self, id: str) -> None:
        """Moves its resources to the default project, also those that a new ProjectResources has just taken.

        Both have the id of the project, so this double has only the newer one of them.
        """
        self.move(self.cloud.get(self.collection, id)["resources"], DEFAULT_PROJECT)


class Tag(StoredResource):
    collection = "tag"
    schema = ResourceSchema(inputs={"name": str}, replaces=("name",), name=NAME, rules={"name": tag})

    def new_document(self, inputs: Document) -> Document:
        return {**inputs, "id": inputs["name"]}


TYPES = (Project, ProjectResources, Tag)
