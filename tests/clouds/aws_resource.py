"""Base class of AWS's resource types, and the translation of AWS's errors."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, TypeVar

from botocore.exceptions import ClientError, ParamValidationError

from tests.clouds.faults import CloudError
from tests.clouds.simulated_cloud import Document, ResourceType, token_of
from tools.offline.command_plugin.values import Properties

if TYPE_CHECKING:
    from tests.clouds.aws import SimulatedAws

T = TypeVar("T")
# Inputs that only the provider knows: https://www.pulumi.com/registry/packages/aws/api-docs/ec2/instance/
_PROVIDER_INPUTS = {"tags", "tagsAll", "userDataReplaceOnChange", "forceDestroy", "allowReassociation"}


class AwsResource(ResourceType):
    """A resource type of AWS. A subclass has the four calls of AWS's API, and the name of Pulumi's type.

    ``module`` is the type's module in Pulumi's AWS package; a base class has none. Inputs that the API doesn't return
    are read from a record of the last create or update.
    """

    # EC2's name of the type, in ARNs and tags.
    ec2_name: ClassVar[str] = ""
    # Whether a change may affect servers, addresses, firewalls or balancers.
    affects_topology: ClassVar[bool] = False

    def __init_subclass__(cls, module: str = "") -> None:
        cls.token = token_of("aws", module, cls.__name__)

    def __init__(self, cloud: SimulatedAws) -> None:
        self.cloud = cloud
        self.ec2 = cloud.client("ec2")

    def api_create(self, inputs: Document) -> str:
        """Create it; its id."""
        raise NotImplementedError

    def api_read(self, id: str) -> Document | None:
        """What the API returns; None where it doesn't exist."""
        raise NotImplementedError

    def api_update(self, id: str, news: Document, changes: set[str]) -> set[str]:
        """Update it; the inputs that this type can update in place."""
        return set()

    def api_delete(self, id: str) -> None:
        raise NotImplementedError

    def with_added_inputs(self, inputs: Properties) -> Properties:
        """The inputs with all tags of the resource: its own and the provider's default tags."""
        own = inputs.get("tags") or {}
        if "tags" not in self.schema.inputs or not (own or self.cloud.default_tags):
            return inputs
        return {**inputs, "tagsAll": {**self.cloud.default_tags, **own} if isinstance(own, dict) else own}

    def create(self, inputs: Document) -> str:
        id = translate_errors(lambda: self.api_create(inputs))
        self.cloud.recorded_inputs[type(self), id] = inputs
        self._apply_topology()
        return id

    def read(self, id: str) -> Document | None:
        try:
            live = self.api_read(id)
        except ClientError as error:
            if _is_not_found(error):
                return None
            raise CloudError(str(error)) from None
        if live is None:
            return None
        inputs = self.cloud.recorded_inputs.get((type(self), id), {})
        # The provider's default tags are listed apart from the resource's own.
        has_tags = "tags" in self.schema.inputs
        tags = {"tagsAll": {**self.cloud.default_tags, **inputs.get("tags", {})}} if has_tags else {}
        return {**inputs, **tags, **live}

    def update(self, id: str, olds: Document, news: Document) -> None:
        changes = set(self.schema.diff(olds, news)[0])
        updatable_inputs = translate_errors(lambda: self.api_update(id, news, changes))
        if unsupported := changes - updatable_inputs - _PROVIDER_INPUTS:
            raise CloudError(f"this cloud can't change {', '.join(sorted(unsupported))} of {self.token} in place")
        self.cloud.recorded_inputs[type(self), id] = news
        self._apply_topology()

    def delete(self, id: str) -> None:
        with suppress(NotFound):
            translate_errors(lambda: self.api_delete(id))
        inputs = self.cloud.recorded_inputs.pop((type(self), id), {})
        if arn := self._arn(id):
            self.cloud.deleted_tags[arn] = {**self.cloud.default_tags, **inputs.get("tags", {})}
        self._apply_topology()

    def ec2_tags(self, inputs: Document) -> list[Document]:
        """The tags as EC2 takes them when it creates a resource."""
        tags = self.service_tags(inputs).get("Tags")
        return [{"ResourceType": self.ec2_name, "Tags": tags}] if tags else []

    def service_tags(self, inputs: Document) -> Document:
        """The tags as the other services take them."""
        tags = {**self.cloud.default_tags, **inputs.get("tags", {})}
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} if tags else {}

    def _apply_topology(self) -> None:
        if self.affects_topology:
            self.cloud.apply_topology()

    def _arn(self, id: str) -> str | None:
        """The ARN under which the tagging API lists it; None where it doesn't."""
        if "tags" not in self.schema.inputs:
            return None
        if id.startswith("arn:"):
            return id
        return f"arn:aws:ec2:{self.cloud.region}:{self.cloud.account}:{self.ec2_name}/{id}" if self.ec2_name else None


class NotFound(CloudError):
    """The resource doesn't exist."""


def checksum(text: str) -> int:
    """The number in ids that the provider makes itself, because AWS gives none."""
    return zlib.crc32(text.encode())


def translate_errors(work: Callable[[], T]) -> T:
    """Do the work. An error of boto3 becomes the error that the provider reports."""
    try:
        return work()
    except ClientError as error:
        raise (NotFound if _is_not_found(error) else CloudError)(str(error)) from None
    except ParamValidationError as error:
        raise CloudError(str(error)) from None


def _is_not_found(error: ClientError) -> bool:
    code = str(error.response.get("Error", {}).get("Code", ""))
    return "NotFound" in code or code.startswith("NoSuch") or code.endswith("NotFoundException")
