"""Base class of DigitalOcean's resource types. A change replaces a resource where it does with the real provider."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from tests.clouds.faults import CloudError
from tests.clouds.resource_schema import NameInput
from tests.clouds.simulated_cloud import Document, ResourceType, token_of

if TYPE_CHECKING:
    from tests.clouds.digitalocean import SimulatedDigitalOcean

REGIONS = {"ams3", "blr1", "fra1", "lon1", "nyc1", "nyc3", "sfo3", "sgp1", "syd1", "tor1"}
# The provider generates a name where there is none, and accepts every name. Only the cloud refuses one.
NAME = NameInput(limit=100_000)
# The key of a resource's project, except for balancers.
PROJECT_KEY = "memberOf"
# Keys of a document that the provider doesn't return.
_PRIVATE_KEYS = {"id", "nodeAddress", "pem", PROJECT_KEY}


class StoredResource(ResourceType):
    """A resource type whose resources are the documents of one collection.

    A subclass has the name of Pulumi's type, and overrides the hooks for checks and side effects of its own.
    """

    collection: ClassVar[str]
    # Names that the cloud accepts, besides the empty one.
    name_pattern: ClassVar[str] = r".+"
    name_limit: ClassVar[int] = 255
    # Whether the provider accepts that a resource is gone when it deletes it.
    tolerates_missing: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.token = token_of("digitalocean", "index", cls.__name__)

    def __init__(self, cloud: SimulatedDigitalOcean) -> None:
        self.cloud = cloud

    def create(self, inputs: Document) -> str:
        with self.cloud.lock:
            self._check_name(inputs)
            document = self.new_document(inputs)
            id = self.cloud.add(self.collection, document, document.pop("id", None))
        try:
            self.after_create(id)
        except BaseException:
            self.delete(id)
            raise
        return id

    def read(self, id: str) -> Document | None:
        document = self.cloud.documents(self.collection).get(id)
        if document is None:
            return None
        return {key: value for key, value in document.items() if key not in _PRIVATE_KEYS}

    def without_addresses(self, document: Document | None, *keys: str) -> Document | None:
        """The document as the provider reads it: before a droplet or a balancer is active, its addresses are empty."""
        if document is None or document["status"] != "new":
            return document
        return {**document, **dict.fromkeys(keys, "")}

    def update(self, id: str, olds: Document, news: Document) -> None:
        with self.cloud.lock:
            self._check_name(news)
            self.before_update(id, olds, news)
            document = self.cloud.get(self.collection, id)
            outputs = {key: value for key, value in document.items() if key not in olds}
            self.cloud.documents(self.collection)[id] = {**outputs, **news}
            self.cloud.save()
        self.cloud.apply_topology()

    def delete(self, id: str) -> None:
        with self.cloud.lock:
            if id in self.cloud.documents(self.collection):
                self.before_delete(id)
                self.after_delete(self.cloud.remove(self.collection, id) or {})
            elif not self.tolerates_missing:
                message = "404 The resource you were accessing could not be found."
                raise CloudError(f"Error deleting {self.collection}: {message}")
        self.cloud.apply_topology()

    def _check_name(self, inputs: Document) -> None:
        name = inputs.get("name", "")
        if name and not (re.fullmatch(self.name_pattern, name) and len(name) <= self.name_limit):
            raise CloudError(f"422: {name!r} is not a valid name")

    # Hooks.

    def new_document(self, inputs: Document) -> Document:
        """The document of a new resource. Raises CloudError where the cloud would refuse the inputs."""
        return inputs

    def after_create(self, id: str) -> None:
        """Called when the document is stored."""
        self.cloud.apply_topology()

    def before_update(self, id: str, olds: Document, news: Document) -> None:
        """Raises CloudError where the cloud would refuse the new inputs."""
        self.new_document({**news})

    def before_delete(self, id: str) -> None:
        """Raises CloudError while other resources need this one."""

    def after_delete(self, document: Document) -> None:
        """Called with the document that was deleted."""


def detach_address(reserved_ip: Document, droplet: Document) -> None:
    """Detach the address. It stays in the project of its droplet."""
    del reserved_ip["dropletId"]
    reserved_ip[PROJECT_KEY] = droplet.get(PROJECT_KEY)


def check_region(inputs: Document) -> None:
    if inputs.get("region") not in REGIONS:
        raise CloudError(f"422: region {inputs.get('region')!r} is not valid")


def check_choice(name: str, value: str, choices: set[str]) -> None:
    if value not in choices:
        raise CloudError(f"422: You specified an invalid {name}: {value}")
