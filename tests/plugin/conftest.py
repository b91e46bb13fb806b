from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin.client import Plugin, running_plugin
from tests.plugin.sshd import Sshd, running_sshd
from tools.offline.pack_plugin import pack


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--command-plugin", help="the plugin to test; default: the offline plugin")


def other_plugin(config: pytest.Config) -> str | None:
    return config.getoption("--command-plugin", None) or os.environ.get("COMMAND_PLUGIN")


@pytest.fixture(scope="session")
def executable(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if path := other_plugin(pytestconfig):
        return Path(path)
    return pack(Path(sys.executable), tmp_path_factory.mktemp("plugin") / "command")


@pytest.fixture
def offline_plugin_only(pytestconfig: pytest.Config) -> None:
    """For tests that the official plugin is known to fail."""
    if path := other_plugin(pytestconfig):
        pytest.skip(f"a known difference to {path}, see tools/offline/README.md")


@pytest.fixture(scope="session")
def shared_plugin(executable: Path) -> Iterator[Plugin]:
    with running_plugin(executable) as plugin:
        yield plugin


@pytest.fixture
def plugin(shared_plugin: Plugin) -> Plugin:
    """A plugin process that most tests share, as the resources of a program do. Its log starts empty."""
    shared_plugin.log.messages.clear()
    return shared_plugin


@pytest.fixture
def fresh_plugin(executable: Path) -> Iterator[Plugin]:
    """A plugin process for one test, which may leave it unusable."""
    with running_plugin(executable, environment={"PULUMI_COMMAND_KEEPALIVE": "0.3"}) as plugin:
        yield plugin


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    options = ["AcceptEnv ALLOWED_*"]
    with running_sshd(tmp_path_factory.mktemp("sshd"), options=options) as server:
        yield server


@pytest.fixture
def fresh_sshd(tmp_path: Path) -> Iterator[Sshd]:
    """An sshd for one test, which may stop it. It accepts the outputs of previous runs as variables."""
    with running_sshd(tmp_path / "sshd", options=["AcceptEnv PULUMI_COMMAND_*"]) as server:
        yield server
