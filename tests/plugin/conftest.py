from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin.client import Plugin, running_plugin
from tests.plugin.sshd import Sshd, running_sshd

INSTALL = Path(__file__).resolve().parents[2] / "tools" / "command-plugin" / "install.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--command-plugin", help="the plugin under test; ours if it is not given")


def given_plugin(config: pytest.Config) -> str | None:
    return config.getoption("--command-plugin", None) or os.environ.get("COMMAND_PLUGIN")


@pytest.fixture(scope="session")
def executable(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if given := given_plugin(pytestconfig):
        return Path(given)
    install = runpy.run_path(str(INSTALL))["install"]
    return install(Path(sys.executable), tmp_path_factory.mktemp("plugin") / "command")


@pytest.fixture
def ours(pytestconfig: pytest.Config) -> None:
    """For the cases where this plugin is known to do better than upstream's."""
    if given := given_plugin(pytestconfig):
        pytest.skip(f"a known difference, listed in tools/command-plugin/README.md: {given} is not asked")


@pytest.fixture(scope="session")
def shared_plugin(executable: Path) -> Iterator[Plugin]:
    with running_plugin(executable) as plugin:
        yield plugin


@pytest.fixture
def plugin(shared_plugin: Plugin) -> Plugin:
    """One process for most cases, as for the resources of a program; each case has a log of its own."""
    shared_plugin.log.messages.clear()
    return shared_plugin


@pytest.fixture
def own_plugin(executable: Path) -> Iterator[Plugin]:
    """For cases after which a plugin is good for nothing."""
    with running_plugin(executable, environment={"PULUMI_COMMAND_KEEPALIVE": "0.3"}) as plugin:
        yield plugin


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    options = ["AcceptEnv ALLOWED_*"]
    with running_sshd(tmp_path_factory.mktemp("sshd"), options=options) as server:
        yield server


@pytest.fixture
def own_sshd(tmp_path: Path) -> Iterator[Sshd]:
    """One to end, freeze or find busy. It lets the outputs of previous runs in."""
    with running_sshd(tmp_path / "sshd", options=["AcceptEnv PULUMI_COMMAND_*"]) as server:
        yield server
