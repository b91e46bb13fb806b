"""Fixtures for tests that boot real machines on this computer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.local import computer, image
from tests.machine.booted_server import BootedServer
from tests.machine.leftovers import no_leftovers
from tests.machine.local_machines import LocalMachines, create_ssh_key
from tests.stack import Stack


@pytest.fixture(scope="session")
def base_image() -> str:
    """The base image, which is built at the first use. Skips the test without root or the tools to build it."""
    try:
        computer.require_root_and_tools()
    except computer.LocalError as error:
        pytest.skip(str(error))  # the text names what is missing
    return image.ensure()


@pytest.fixture(scope="session")
def ssh_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_ssh_key(tmp_path_factory.mktemp("key") / "id")


@pytest.fixture
def machines(base_image: str, ssh_key: Path) -> Iterator[LocalMachines]:
    """Creates machines. After the test they are destroyed and must have left nothing behind."""
    machines = LocalMachines(key=ssh_key)
    with no_leftovers(lambda: {*machines.ids, *machines.network_ids}):
        try:
            yield machines
        finally:
            machines.destroy()


@pytest.fixture(scope="module")
def server(
    base_image: str, ssh_key: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[BootedServer]:
    """One server for all tests of a module. Its class is ``SERVER_CLASS`` in that module."""
    server_class: type[BootedServer] = request.module.SERVER_CLASS
    with server_class.temporary(ssh_key, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def url(stack: Stack) -> str:
    """The URL of the module's ``stack``, after its first `up`."""
    stack.up()
    return stack.outputs()["url"]
