"""Stacks on simulated clouds: on paper, or with real machines of which nothing is left."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.local.computer import LocalError, require_root_and_tools
from tests.clouds.aws import Aws
from tests.clouds.digitalocean import DigitalOcean
from tests.clouds.digitalocean_api import TOKEN, answering
from tests.clouds.machines import Machines
from tests.clouds.provider import Cloud, served
from tests.clouds.world import OPERATOR, View, World
from tests.machine.leftovers import no_leftovers
from tests.stack import Stack, copy_example_app, get

SOURCES = {"aws": "Ec2", "digitalocean": "DigitalOcean"}
# What each cloud needs besides the settings that both have.
OWN_SETTINGS: dict[str, dict[str, object]] = {
    # A range that no local stack takes.
    "aws": {"region": "eu-central-1", "size": "t3.small", "network": "10.61.0.0/16"},
    "digitalocean": {"region": "fra1", "size": "s-1vcpu-1gb"},
}

LARGER = {"aws": "t3.medium", "digitalocean": "s-2vcpu-2gb"}


def chosen(usual: str) -> list[str]:
    """The clouds that a story runs on: CLOUDS is one of them, or all; a story takes minutes, so it is usually one."""
    wanted = os.environ.get("CLOUDS", usual)
    return sorted(SOURCES) if wanted == "all" else [wanted]


@contextmanager
def simulated(name: str, world: World | None, folder: Path) -> Iterator[Cloud]:
    """The cloud, and the environment in which the engine finds it."""
    if name == "aws":
        cloud: Cloud = Aws(world)
        cloud.start()
    else:
        cloud = DigitalOcean(world, folder / "account.json")
    with served(cloud) as provider, pytest.MonkeyPatch.context() as patch, ExitStack() as opened:
        patch.setenv("PULUMI_DEBUG_PROVIDERS", provider)
        if isinstance(cloud, DigitalOcean):
            patch.setenv("DIGITALOCEAN_TOKEN", TOKEN)
            patch.setenv("DIGITALOCEAN_API_URL", opened.enter_context(answering(cloud)))
        # The engine's processes ask no metadata service for a login.
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        try:
            yield cloud
        finally:
            if isinstance(cloud, Aws):
                cloud.stop()


@contextmanager
def machines(name: str) -> Iterator[Machines]:
    """A world of machines; without root or the tools for it the test is skipped."""
    try:
        require_root_and_tools()
    except LocalError as error:
        pytest.skip(str(error))  # the text says what is missing
    world = Machines(SOURCES[name])
    world.start()
    try:
        yield world
    finally:
        world.stop()


def new_stack(target: str, folder: Path, **settings: object) -> Stack:
    folder.mkdir(exist_ok=True)
    usual = {"target": target, "app": "examples/rocket", "healthPath": "/healthz", "sshFrom": [f"{OPERATOR}/32"]}
    stack = Stack("sim", folder, {**usual, **OWN_SETTINGS[target], **settings})
    return stack


@dataclass
class Site:
    """A stack with its cloud; visitors come to ``front``, whatever the name of the balancer."""

    stack: Stack
    cloud: Cloud
    world: Machines

    @property
    def front(self) -> str:
        [balancer] = self.view.balancers
        return f"http://{balancer.public}/"

    @property
    def view(self) -> View:
        return self.world.view

    def servers(self) -> list[dict[str, Any]]:
        return self.stack.outputs()["servers"]

    def pages(self) -> set[str]:
        return {get(self.front).text for _ in range(8)}

    def well(self) -> list[bool]:
        [balancer] = self.view.balancers
        return list(self.world.health(balancer.id).values())

    def wait_until_well(self, wanted: list[bool], seconds: float = 60) -> None:
        """Until as many servers are well, in any order."""
        until = time.monotonic() + seconds
        while (found := sorted(self.well())) != wanted:
            assert time.monotonic() < until, f"after {seconds} s {found} are well, not {wanted}"
            time.sleep(0.5)


@contextmanager
def site_on(name: str, folder: Path, **settings: object) -> Iterator[Site]:
    """A stack that is not up yet, on a cloud with machines of which nothing may be left afterwards."""
    made: set[str] = set()
    with no_leftovers(lambda: made), machines(name) as world:
        made = world.made
        with simulated(name, world, folder) as cloud:
            world.faults = cloud.faults
            yield Site(new_stack(name, folder / "stack", app=str(copy_example_app(folder)), **settings), cloud, world)


def connects(address: str, port: int, source: str) -> bool:
    """Whether a connection from there is let in; twice, since a firewall may be settling."""
    for _ in range(2):
        try:
            socket.create_connection((address, port), timeout=2, source_address=(source, 0)).close()
        except OSError:
            time.sleep(0.2)
        else:
            return True
    return False
