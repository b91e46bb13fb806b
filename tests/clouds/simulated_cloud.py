"""The interface between the provider protocol and a simulated cloud: a cloud, and its resource types."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar

from tests.clouds.faults import Faults
from tests.clouds.infrastructure import Infrastructure, RecordedInfrastructure
from tests.clouds.resource_schema import ResourceSchema
from tools.offline.command_plugin.values import Properties

Document = dict[str, Any]
# The connection that the present call came from. The engine has one for each provider of a program, and each provider
# has settings of its own.
CONNECTION: ContextVar[str] = ContextVar("connection", default="")
# A look-up of the provider, such as aws:ec2/getAmi:getAmi. It takes arguments and gives results.
Function = Callable[[Document], Document]


def token_of(package: str, module: str, type_name: str) -> str:
    """A type token, such as aws:ec2/vpc:Vpc."""
    return f"{package}:{module}/{type_name[0].lower()}{type_name[1:]}:{type_name}"


class ResourceType(ABC):
    """The resources of one type. Secret values come and go as plain values: the provider marks them."""

    token: ClassVar[str]
    schema: ResourceSchema

    @abstractmethod
    def create(self, inputs: Document) -> str:
        """Create a resource; its id."""

    @abstractmethod
    def read(self, id: str) -> Document | None:
        """What the cloud knows of a resource, inputs included; None where it doesn't exist."""

    @abstractmethod
    def update(self, id: str, olds: Document, news: Document) -> None: ...

    @abstractmethod
    def delete(self, id: str) -> None:
        """Delete a resource. Where the real provider accepts that, it may be gone already."""

    def delete_as_recorded(self, id: str, state: Document) -> None:
        """Delete a resource. Types override this if their provider uses the state for that."""
        self.delete(id)

    def with_added_inputs(self, inputs: Properties) -> Properties:
        """Checked inputs with those that the provider adds, such as a stack's default tags."""
        return inputs

    def import_inputs(self, live: Document) -> Document:
        """The inputs of a resource that Pulumi hasn't created, from what the cloud knows of it."""
        names = self.schema.input_names()
        return {key: value for key, value in live.items() if key in names}


class SimulatedCloud(ABC):
    """An account at a cloud. A provider turns the engine's requests into calls of it."""

    package: str
    version: str
    # The version of the state's schema, for types that have had several. The real provider migrates a state that
    # doesn't have this version.
    schema_versions: ClassVar[Mapping[str, int]]

    def __init__(self, infrastructure: Infrastructure | None = None) -> None:
        self.infrastructure: Infrastructure = infrastructure or RecordedInfrastructure()
        self.faults = Faults()
        # Operation and resource name of every call.
        self.calls: list[tuple[str, str]] = []

    @abstractmethod
    def configure(self, settings: Document) -> None:
        """Take the settings of the provider behind ``CONNECTION``. Raises CloudError where one is missing."""

    @abstractmethod
    def types(self) -> Mapping[str, ResourceType]:
        """The resource types by their token."""

    @abstractmethod
    def functions(self) -> Mapping[str, Function]:
        """The provider's look-ups by their token."""

    @abstractmethod
    def apply_topology(self) -> None:
        """Make the infrastructure match the account."""

    @abstractmethod
    def leftovers(self) -> list[str]:
        """The resources that exist: one line each, with kind and id."""
