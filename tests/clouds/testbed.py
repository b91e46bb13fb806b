"""A stack on a simulated cloud with real machines. Afterwards nothing of it may be left on this computer."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.local.computer import LocalError, require_root_and_tools
from tests.clouds.infrastructure import Topology
from tests.clouds.machine_infrastructure import MachineInfrastructure
from tests.clouds.simulated_cloud import SimulatedCloud
from tests.clouds.simulated_stack import new_stack, simulated_cloud
from tests.machine.leftovers import no_leftovers
from tests.stack import Stack, copy_example_app, get

# cloud-init's names of the clouds.
DATA_SOURCES = {"aws": "Ec2", "digitalocean": "DigitalOcean"}


def clouds_under_test(default: str) -> list[str]:
    """The clouds for a test module: the variable CLOUDS names one, or all. A module takes minutes on each."""
    name = os.environ.get("CLOUDS", default)
    return sorted(DATA_SOURCES) if name == "all" else [name]


@contextmanager
def machine_infrastructure(cloud_name: str) -> Iterator[MachineInfrastructure]:
    """Machines for one cloud. Skips the test where root or a tool is missing."""
    try:
        require_root_and_tools()
    except LocalError as error:
        pytest.skip(str(error))  # the text says what is missing
    infrastructure = MachineInfrastructure(DATA_SOURCES[cloud_name])
    infrastructure.start()
    try:
        yield infrastructure
    finally:
        infrastructure.stop()


@dataclass
class CloudTestbed:
    """A stack, its cloud and the cloud's machines."""

    stack: Stack
    cloud: SimulatedCloud
    infrastructure: MachineInfrastructure

    @property
    def entrypoint(self) -> str:
        """The URL of the only balancer by its address: its name isn't in any DNS."""
        [balancer] = self.topology.balancers
        return f"http://{balancer.public_address}/"

    @property
    def topology(self) -> Topology:
        return self.infrastructure.topology

    def servers(self) -> list[dict[str, Any]]:
        """The servers in the stack's outputs."""
        return self.stack.outputs()["servers"]

    def pages(self) -> set[str]:
        """The different answers to eight requests."""
        return {get(self.entrypoint).text for _ in range(8)}

    def target_health(self) -> list[bool]:
        """Whether each target of the only balancer is healthy."""
        [balancer] = self.topology.balancers
        return list(self.infrastructure.target_health(balancer.id).values())

    def wait_for_target_health(self, expected: list[bool], seconds: float = 60) -> None:
        """Wait until the targets are as healthy as expected: a sorted list."""
        deadline = time.monotonic() + seconds
        while (health := sorted(self.target_health())) != expected:
            assert time.monotonic() < deadline, f"after {seconds} s the targets' health is {health}, not {expected}"
            time.sleep(0.5)


@contextmanager
def new_testbed(cloud_name: str, folder: Path, **settings: object) -> Iterator[CloudTestbed]:
    """A stack that isn't up yet, on a cloud with machines. Fails if something of it is left afterwards."""
    names: set[str] = set()
    with no_leftovers(lambda: names), machine_infrastructure(cloud_name) as infrastructure:
        names = infrastructure.names
        with simulated_cloud(cloud_name, folder, infrastructure) as cloud:
            infrastructure.faults = cloud.faults
            # One worker on each server starts sooner, and no test here depends on the number of workers.
            app = str(copy_example_app(folder))
            stack = new_stack(cloud_name, folder / "stack", **{"app": app, "workers": 1, **settings})
            yield CloudTestbed(stack, cloud, infrastructure)


def can_connect(address: str, port: int, source: str) -> bool:
    """Whether the port accepts a connection from a source address. Tries twice: a firewall may just be changing."""
    for _ in range(2):
        try:
            socket.create_connection((address, port), timeout=2, source_address=(source, 0)).close()
        except OSError:
            time.sleep(0.2)
        else:
            return True
    return False
