"""A simulated AWS: boto3 calls the API of moto, which checks names, references and states as AWS does."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.clouds import (
    aws_balancing,
    aws_buckets,
    aws_compute,
    aws_dns,
    aws_functions,
    aws_iam,
    aws_network,
    aws_security_groups,
    aws_targets,
    aws_volumes,
)
from tests.clouds.aws_resource import AwsResource
from tests.clouds.aws_topology import read_topology
from tests.clouds.faults import CloudError
from tests.clouds.infrastructure import AddressPool, Infrastructure, Topology
from tests.clouds.simulated_cloud import CONNECTION, Document, Function, ResourceType, SimulatedCloud
from tools.recover.state import SCHEMA_VERSIONS

# The account that publishes Debian's images.
DEBIAN_ACCOUNT = "136693071363"
TYPE_MODULES = (
    aws_network,
    aws_security_groups,
    aws_compute,
    aws_volumes,
    aws_iam,
    aws_balancing,
    aws_targets,
    aws_dns,
    aws_buckets,
)
_READ_ATTEMPTS = 6
_API_LOCK = threading.Lock()


class SimulatedAws(SimulatedCloud):
    """One account in one region. It lasts as long as this process."""

    package, version = "aws", "7.51.1"
    # The account of moto.
    account = "123456789012"
    schema_versions: ClassVar = SCHEMA_VERSIONS

    def __init__(self, infrastructure: Infrastructure | None = None) -> None:
        super().__init__(infrastructure)
        self.lock = threading.RLock()
        self.region = "eu-central-1"
        # By the connection of their provider.
        self._default_tags: dict[str, dict[str, str]] = {}
        # The inputs of all resources. AWS doesn't return each of them, or not in the provider's words.
        self.recorded_inputs: dict[tuple[type[AwsResource], str], Document] = {}
        # Public addresses, used in place of moto's: by instance id, by allocation id, by ARN of the balancer.
        self.auto_assigned_addresses: dict[str, str] = {}
        self.elastic_addresses: dict[str, str] = {}
        self.balancer_addresses: dict[str, str] = {}
        # Certificate and key as PEM, by ARN.
        self.certificates: dict[str, str] = {}
        # The secret parts of the users' access keys by their id.
        self.access_keys: dict[str, str] = {}
        # The tags of deleted resources by ARN, because the tagging API lists those for hours.
        self.deleted_tags: dict[str, dict[str, str]] = {}
        self._address_pool = AddressPool()
        self._mock = mock_aws()

    def start(self) -> None:
        os.environ["MOTO_AMIS_PATH"] = _write_images()
        self._mock.start()

    def stop(self) -> None:
        self._mock.stop()
        Path(os.environ.pop("MOTO_AMIS_PATH")).unlink()

    def client(self, service: str) -> Any:
        return _client(service, self.region)

    def configure(self, settings: Document) -> None:
        if settings.get("region") != self.region:
            raise CloudError(f"region is {settings.get('region')!r}, and this cloud is in {self.region} alone")
        self._default_tags[CONNECTION.get()] = (settings.get("defaultTags") or {}).get("tags", {})

    @property
    def default_tags(self) -> dict[str, str]:
        """The tags that the provider of the present call adds to each resource."""
        return self._default_tags.get(CONNECTION.get(), {})

    def types(self) -> Mapping[str, ResourceType]:
        return {type_.token: type_(self) for module in TYPE_MODULES for type_ in module.TYPES}

    def functions(self) -> Mapping[str, Function]:
        return aws_functions.functions(self)

    def leftovers(self) -> list[str]:
        return [f"{type_.__name__} {id}" for type_, id in list(self.recorded_inputs) if type_(self).read(id)]

    def recorded_ids(self, type_: type[AwsResource]) -> list[str]:
        """The ids of the recorded resources of a type."""
        # A copy, because other threads create and delete resources meanwhile.
        return [id for recorded_type, id in list(self.recorded_inputs) if recorded_type is type_]

    def new_public_address(self) -> str:
        used = {
            *self.auto_assigned_addresses.values(),
            *self.elastic_addresses.values(),
            *self.balancer_addresses.values(),
        }
        return self._address_pool.take(used)

    def apply_topology(self) -> None:
        with self.lock:
            self.infrastructure.apply(self._topology())

    def _topology(self) -> Topology:
        """Other threads go on meanwhile. So one call may list a resource that the next call doesn't find."""
        for _ in range(_READ_ATTEMPTS - 1):
            with suppress(ClientError):
                return read_topology(self)
        return read_topology(self)


@lru_cache
def _client(service: str, region: str) -> Any:
    """A client whose calls wait for each other, because moto's dictionaries aren't made for several threads.

    Cached, because boto3 takes a second to read the description of a service.
    """
    client: Any = boto3.client(service, region_name=region)
    # moto's documentation names this method for changing what a call does:
    # https://docs.getmoto.org/en/latest/docs/services/patching_other_services.html
    make_api_call = client._make_api_call

    def one_call_at_a_time(operation: str, parameters: Document) -> Any:
        with _API_LOCK:
            return make_api_call(operation, parameters)

    client._make_api_call = one_call_at_a_time
    return client


def _write_images() -> str:
    """Write the file of Debian's images, since those of moto are old; its path."""
    names = (("debian-13-amd64-20251117-2299", "x86_64"), ("debian-13-arm64-20251117-2299", "arm64"))
    images = [
        {
            "ami_id": f"ami-{number}{'0' * 16}", "owner_id": DEBIAN_ACCOUNT, "name": name, "architecture": architecture,
            "state": "available", "public": True, "image_type": "machine", "platform": None, "hypervisor": "xen",
            "virtualization_type": "hvm", "root_device_name": "/dev/xvda", "root_device_type": "ebs",
            "sriov": "simple", "description": "Debian 13", "creation_date": "2025-11-17T22:59:00.000Z",
            "image_location": f"{DEBIAN_ACCOUNT}/{name}",
        }
        for number, (name, architecture) in enumerate(names, 1)
    ]  # fmt: skip
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(images, file)
    return file.name
