"""A simulated cloud that the real engine uses, and stacks with settings for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.clouds.aws import SimulatedAws
from tests.clouds.digitalocean import SimulatedDigitalOcean
from tests.clouds.digitalocean_api import TOKEN, serve_api
from tests.clouds.infrastructure import OPERATOR, Infrastructure
from tests.clouds.provider import serve_cloud
from tests.clouds.simulated_cloud import SimulatedCloud
from tests.stack import ROOT, Stack

SETTINGS_OF_CLOUDS: dict[str, dict[str, object]] = {
    # A network that no local stack uses.
    "aws": {"region": "eu-central-1", "size": "t3.small", "network": "10.61.0.0/16"},
    "digitalocean": {"region": "fra1", "size": "s-1vcpu-1gb"},
}
LARGER_SIZES = {"aws": "t3.medium", "digitalocean": "s-2vcpu-2gb"}

# In an account of DigitalOcean, an assignment is a property of the reserved IP. So it isn't listed as a resource.
ASSIGNMENT = "digitalocean:index/reservedIpAssignment:ReservedIpAssignment"


@contextmanager
def simulated_cloud(name: str, folder: Path, infrastructure: Infrastructure | None = None) -> Iterator[SimulatedCloud]:
    """A cloud that every engine started meanwhile finds by its environment variables.

    Without ``infrastructure`` it boots no machine.
    """
    if name == "aws":
        cloud: SimulatedCloud = SimulatedAws(infrastructure)
        cloud.start()
    else:
        cloud = SimulatedDigitalOcean(infrastructure, folder / "account.json")
    with serve_cloud(cloud) as address, pytest.MonkeyPatch.context() as patch, ExitStack() as services:
        patch.setenv("PULUMI_DEBUG_PROVIDERS", address)
        if isinstance(cloud, SimulatedDigitalOcean):
            patch.setenv("DIGITALOCEAN_TOKEN", TOKEN)
            patch.setenv("DIGITALOCEAN_API_URL", services.enter_context(serve_api(cloud)))
        # Otherwise the engine's processes look for credentials at a metadata service.
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        try:
            yield cloud
        finally:
            if isinstance(cloud, SimulatedAws):
                cloud.stop()


@contextmanager
def another_provider(cloud: SimulatedCloud) -> Iterator[None]:
    """A provider for the engines that start during the block, in place of one that has crashed."""
    with serve_cloud(cloud) as address, pytest.MonkeyPatch.context() as patch:
        addresses = os.environ["PULUMI_DEBUG_PROVIDERS"].split(",")
        others = [other for other in addresses if not other.startswith(f"{cloud.package}:")]
        patch.setenv("PULUMI_DEBUG_PROVIDERS", ",".join([address, *others]))
        yield


def new_stack(target: str, folder: Path, program: Path = ROOT, /, **settings: object) -> Stack:
    """A stack of a Pulumi ``program`` that isn't up yet. None removes a setting."""
    folder.mkdir(exist_ok=True)
    # No authority could reach these machines. The dev stack's default is the same.
    defaults = {"target": target, "sshFrom": [f"{OPERATOR}/32"], "tls": "off"}
    if program == ROOT:
        defaults |= {"app": "examples/rocket", "healthPath": "/healthz"}
    return Stack("sim", folder, {**defaults, **SETTINGS_OF_CLOUDS[target], **settings}, project=program)


def ids_in_state(stack: Stack) -> set[str]:
    """The ids of the cloud resources in the stack's state."""
    state = json.loads(stack.pulumi("stack", "export").stdout)["deployment"]
    resources = [
        resource
        for resource in state.get("resources", [])
        if resource["type"].startswith(("aws:", "digitalocean:")) and resource["type"] != ASSIGNMENT
    ]
    return {resource["id"] for resource in resources}
