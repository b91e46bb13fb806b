from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from tests.plugin.client import LOCAL, REMOTE, Plugin, PluginError, running_plugin, secret


def test_the_plugin_has_the_version_of_the_official_one(plugin: Plugin) -> None:
    version = plugin.stub.GetPluginInfo(empty_pb2.Empty()).version
    assert version.removeprefix("v") == "1.2.1"


def test_flags_of_the_engine_may_come_before_its_address(executable: Path) -> None:
    with running_plugin(executable, flags=["--logtostderr", "-v=3"]) as plugin:
        assert plugin.create(LOCAL, {"create": "echo here"}).state["stdout"] == "here"
        assert plugin.logged(LOCAL) == "here"


def test_an_unknown_type_is_an_error(plugin: Plugin) -> None:
    with pytest.raises(PluginError):
        plugin.create("command:remote:Telegraph", {})


def test_an_unknown_function_is_an_error(plugin: Plugin) -> None:
    with pytest.raises(grpc.RpcError):
        plugin.stub.Invoke(provider_pb2.InvokeRequest(tok="command:local:walk"))


def test_reading_returns_the_state_as_it_is(plugin: Plugin) -> None:
    inputs: dict[str, Any] = {"create": "true", "connection": secret({"host": "h"})}
    state = {**inputs, "stdout": "x", "stderr": ""}
    assert plugin.read(REMOTE, state, inputs) == ("1", state, inputs)


def test_the_type_of_a_resource_is_the_last_of_the_types_in_its_urn(plugin: Plugin) -> None:
    request = provider_pb2.CheckRequest(urn=f"urn:pulumi:test::project::gantry:local:Server${LOCAL}::it")
    assert not plugin.stub.Check(request).failures


def test_the_plugin_starts_within_three_seconds(offline_plugin_only: None, executable: Path) -> None:
    start = time.monotonic()
    with running_plugin(executable):
        assert time.monotonic() - start < 3


def test_at_its_start_the_plugin_imports_neither_the_sdk_nor_paramiko(
    offline_plugin_only: None, executable: Path
) -> None:
    code = "import sys, command_plugin.server; print({'paramiko', 'cryptography', 'pulumi.output'} & {*sys.modules})"
    result = subprocess.run([sys.executable, "-c", code], cwd=executable.parent, capture_output=True, text=True)
    assert result.stdout.strip() == "set()", result.stderr


# Takes the engine's place: starts a plugin and ends without stopping it. Prints the plugin's process id.
ENGINE = """
import subprocess, sys
plugin = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
{action}
print(plugin.pid)
"""


@pytest.mark.parametrize("action", ["plugin.stdout.readline()", "pass"], ids=["with the port", "without the port"])
def test_the_plugin_stops_when_the_engine_is_gone(offline_plugin_only: None, executable: Path, action: str) -> None:
    engine = [sys.executable, "-c", ENGINE.format(action=action), executable, "127.0.0.1:1"]
    output = subprocess.run(engine, capture_output=True, text=True, check=True).stdout
    plugin = Path("/proc") / output.strip()
    assert plugin.name.isdecimal()
    deadline = time.monotonic() + 30
    while plugin.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not plugin.exists()
