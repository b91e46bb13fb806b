"""An AWS whose API is moto's: calls go through boto3, so names, references and states are validated as AWS does."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import boto3
from botocore.exceptions import ClientError, ParamValidationError
from moto import mock_aws

from tests.clouds import aws_topology
from tests.clouds.faults import CloudError
from tests.clouds.infrastructure import Addresses, Paper, View, World
from tests.clouds.provider import Cloud, Type
from tests.clouds.resource_schema import Kind

T = TypeVar("T")
Document = dict[str, Any]
DEBIAN = "136693071363"
_READS = 5


class Aws(Cloud):
    """One account in one region; its state lasts as long as this process."""

    package, version = "aws", "7.51.1"
    # moto's.
    account = "123456789012"
    schema_versions: ClassVar = {
        "aws:ec2/instance:Instance": 2,
        "aws:ec2/keyPair:KeyPair": 1,
        "aws:ec2/securityGroup:SecurityGroup": 1,
        "aws:ec2/subnet:Subnet": 1,
        "aws:ec2/vpc:Vpc": 1,
        "aws:route53/record:Record": 2,
    }

    def __init__(self, world: World | None = None) -> None:
        super().__init__()
        self.world: World = world or Paper()
        self.lock = threading.RLock()
        self.region = "eu-central-1"
        self.default_tags: dict[str, str] = {}
        # What AWS doesn't tell again, or not in the provider's words, by type and id.
        self.given: dict[tuple[type[Resource], str], Document] = {}
        # In place of moto's: the auto-assigned by instance, the elastic by allocation; and those of balancers.
        self.own_addresses: dict[str, str] = {}
        self.elastic: dict[str, str] = {}
        self.fronts: dict[str, str] = {}
        self.certificates: dict[str, str] = {}
        # The tags of what is deleted, by ARN: the tagging API goes on listing it for hours.
        self.deleted: dict[str, dict[str, str]] = {}
        self._addresses = Addresses()
        self._mock = mock_aws()

    def start(self) -> None:
        os.environ |= {"MOTO_AMIS_PATH": _images(), "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
        self._mock.start()

    def stop(self) -> None:
        self._mock.stop()
        Path(os.environ.pop("MOTO_AMIS_PATH")).unlink()
        del os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"]

    def client(self, service: str) -> Any:
        return _client(service, self.region)

    def configure(self, settings: dict[str, Any]) -> None:
        if settings.get("region") != self.region:
            raise CloudError(f"region is {settings.get('region')!r}, and this cloud is in {self.region} alone")
        self.default_tags = (settings.get("defaultTags") or {}).get("tags", {})

    def types(self) -> Mapping[str, Type]:
        from tests.clouds import aws_balancing, aws_compute, aws_names, aws_network, aws_security_groups

        modules = (aws_network, aws_security_groups, aws_compute, aws_balancing, aws_names)
        found = [each for module in modules for each in module.TYPES]
        return {each.token: each(self) for each in found}

    def functions(self) -> Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        from tests.clouds import aws_functions

        return aws_functions.functions(self)

    def leftovers(self) -> list[str]:
        return [f"{type_.__name__} {id}" for type_, id in self.given if type_(self).read(id)]

    def public_address(self) -> str:
        used = {*self.own_addresses.values(), *self.elastic.values(), *self.fronts.values()}
        return self._addresses.take(used)

    def show(self) -> None:
        with self.lock:
            self.world.show(self._view())

    def _view(self) -> View:
        """What is listed by one call may be gone by the next: other calls of the engine go on meanwhile."""
        for _ in range(_READS):
            with suppress(ClientError):
                return aws_topology.view(self)
        return aws_topology.view(self)


@lru_cache
def _client(service: str, region: str) -> Any:
    """Made once: it takes a second to read a service's description."""
    return boto3.client(service, region_name=region)


class Resource(Type):
    """A resource of AWS by four calls; what AWS doesn't tell again is what was given."""

    token: str
    kind: Kind
    # What EC2 calls it in ARNs and tags.
    called = ""
    # Whether machines or packets may look different afterwards.
    shows = True

    def __init__(self, cloud: Aws) -> None:
        self.cloud = cloud
        self.ec2 = cloud.client("ec2")

    def make(self, inputs: Document) -> str:
        raise NotImplementedError

    def live(self, id: str) -> Document | None:
        """What AWS tells of it now; None where it is gone."""
        raise NotImplementedError

    def change(self, id: str, olds: Document, news: Document, changed: set[str]) -> set[str]:
        """Change it; the inputs that were."""
        return set()

    def drop(self, id: str) -> None:
        raise NotImplementedError

    def create(self, inputs: Document) -> str:
        id = translated(lambda: self.make(inputs))
        self.cloud.given[type(self), id] = inputs
        self._show()
        return id

    def read(self, id: str) -> Document | None:
        try:
            live = self.live(id)
        except ClientError as error:
            if _is_gone(error):
                return None
            raise CloudError(str(error)) from None
        if live is None:
            return None
        given = self.cloud.given.get((type(self), id), {})
        # Tags of the provider's own are told apart from those of the resource.
        tags = {"tagsAll": {**self.cloud.default_tags, **given.get("tags", {})}} if "tags" in self.kind.inputs else {}
        return {**given, **tags, **live}

    def update(self, id: str, olds: Document, news: Document) -> None:
        changed = {key for key in {*olds, *news} if olds.get(key) != news.get(key)}
        done = translated(lambda: self.change(id, olds, news, changed))
        # Of the provider alone: https://www.pulumi.com/registry/packages/aws/api-docs/ec2/instance/
        ours = {"tags", "userDataReplaceOnChange", "forceDestroy", "allowReassociation"}
        if unknown := changed - done - ours:
            raise CloudError(f"this cloud can't change {', '.join(sorted(unknown))} of {self.token} in place")
        self.cloud.given[type(self), id] = news
        self._show()

    def delete(self, id: str) -> None:
        with suppress(Gone):
            translated(lambda: self.drop(id))
        given = self.cloud.given.pop((type(self), id), {})
        if arn := self.arn(id):
            self.cloud.deleted[arn] = {**self.cloud.default_tags, **given.get("tags", {})}
        self._show()

    def _show(self) -> None:
        if self.shows:
            self.cloud.show()

    def arn(self, id: str) -> str | None:
        """Of what the tagging API lists."""
        if "tags" not in self.kind.inputs or id.startswith("arn:"):
            return id if "tags" in self.kind.inputs else None
        return f"arn:aws:ec2:{self.cloud.region}:{self.cloud.account}:{self.called}/{id}" if self.called else None

    def tags(self, inputs: Document) -> list[Document]:
        """As EC2 takes them at the making of a resource."""
        listed = self.plain_tags(inputs).get("Tags")
        return [{"ResourceType": self.called, "Tags": listed}] if listed else []

    def plain_tags(self, inputs: Document) -> Document:
        """As the other services take them."""
        tags = {**self.cloud.default_tags, **inputs.get("tags", {})}
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} if tags else {}


class Gone(CloudError):
    """What was asked about isn't there."""


def translated(work: Callable[[], T]) -> T:
    """What AWS refuses, as the provider says it."""
    try:
        return work()
    except ClientError as error:
        raise (Gone if _is_gone(error) else CloudError)(str(error)) from None
    except ParamValidationError as error:
        raise CloudError(str(error)) from None


def _is_gone(error: ClientError) -> bool:
    code = str(error.response.get("Error", {}).get("Code", ""))
    return "NotFound" in code or code.startswith("NoSuch") or code.endswith("NotFoundException")


def _images() -> str:
    """The file of the images that there are; moto's own are of long ago."""
    documents = [
        {
            "ami_id": f"ami-{number}{'0' * 16}", "owner_id": DEBIAN, "name": name, "architecture": machine,
            "state": "available", "public": True, "image_type": "machine", "platform": None, "hypervisor": "xen",
            "virtualization_type": "hvm", "root_device_name": "/dev/xvda", "root_device_type": "ebs",
            "sriov": "simple", "description": "Debian 13", "creation_date": "2025-11-17T22:59:00.000Z",
            "image_location": f"{DEBIAN}/{name}",
        }
        for number, (name, machine) in enumerate(
            (("debian-13-amd64-20251117-2299", "x86_64"), ("debian-13-arm64-20251117-2299", "arm64")), 1
        )
    ]  # fmt: skip
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(documents, file)
    return file.name
