"""The command plugin without servers: it records the commands for servers and reports that they succeeded."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from components import app_data
from host.paths import Paths
from tests.clouds.provider import serve_provider
from tools.offline.command_plugin import resources
from tools.offline.command_plugin.log import Engine
from tools.offline.command_plugin.provider import Provider
from tools.offline.command_plugin.values import from_struct, to_struct

# The output of every command. One of them must print the host key of its server.
STDOUT = "ssh-ed25519 AAAA"


class SimulatedCommandPlugin(Provider):
    """The offline plugin. It checks and previews as usual, and never logs in to a server."""

    def __init__(self) -> None:
        super().__init__(Engine())
        # Operation and resource name of every call.
        self.calls: list[tuple[str, str]] = []
        # The names of resources whose updates are carried out and then fail.
        self.failing_updates: set[str] = set()
        # The error of each resource whose create fails, after this many seconds; and when the last one failed.
        self.failing_creates: dict[str, str] = {}
        self.seconds_to_failure = 0.0
        self.failed_at = 0.0

    def Create(self, request: Any, context: Any) -> Any:
        if request.preview:
            return super().Create(request, context)
        name = self._record("create", request)
        if name in self.failing_creates:
            time.sleep(self.seconds_to_failure)
            self.failed_at = time.monotonic()
            context.abort(grpc.StatusCode.UNKNOWN, self.failing_creates[name])
        token: str = request.urn.split("::")[2].rpartition("$")[2]
        return provider_pb2.CreateResponse(id=resources.new_id(token, name), properties=_outputs(request.properties))

    def Update(self, request: Any, context: Any) -> Any:
        if request.preview:
            return super().Update(request, context)
        if self._record("update", request) in self.failing_updates:
            context.abort(grpc.StatusCode.UNKNOWN, "the connection was lost")
        return provider_pb2.UpdateResponse(properties=_outputs(request.news))

    def Delete(self, request: Any, context: Any) -> Any:
        self._record("delete", request)
        return empty_pb2.Empty()

    def _record(self, operation: str, request: Any) -> str:
        """The name of the resource."""
        name: str = request.urn.rpartition("::")[2]
        self.calls.append((operation, name))
        return name


def _outputs(struct: Any) -> Any:
    inputs = from_struct(struct)
    # A release on probation prints until when. The next one prints another time.
    stdout = f"until {time.time_ns()}" if "--probation" in str(inputs.get("create")) else STDOUT
    return to_struct({**inputs, "stdout": stdout, "stderr": ""})


# Draining, the rollout hook and the guard of /var/lib/app run ssh themselves, without the plugin. While the file
# `unhealthy` exists, a release prints its text and fails. The file `unprepared` does the same to a preparation.
# A server has no files, or as many as `app-data` says. While the file `silent` exists, it doesn't answer the guard.
SSH_PROGRAM = f"""#!/bin/sh
case "$*" in *{Paths().draining!s}*) exit 255 ;; esac
cat > /dev/null
case "$*" in *"{app_data.COUNT}")
    if [ -e "$(dirname "$0")/../silent" ]; then echo "Connection timed out" >&2; exit 255; fi
    cat "$(dirname "$0")/../app-data" 2> /dev/null || echo '{{"files": 0, "bytes": 0, "on_volume": false}}'
    exit 0 ;;
esac
case "$*" in *"gantry release"*)
    if [ -e "$(dirname "$0")/../unhealthy" ]; then sleep 3; cat "$(dirname "$0")/../unhealthy" >&2; exit 1; fi ;;
*"gantry prepare"*)
    if [ -e "$(dirname "$0")/../unprepared" ]; then cat "$(dirname "$0")/../unprepared" >&2; exit 1; fi ;;
esac
echo {STDOUT}
"""


@contextmanager
def simulated_commands(folder: Path) -> Iterator[SimulatedCommandPlugin]:
    """Every command on a server succeeds, also over ssh. Only draining can't reach its server."""
    program = folder / "bin/ssh"
    program.parent.mkdir()
    program.write_text(SSH_PROGRAM)
    program.chmod(0o755)
    with serve_simulated_plugin() as (plugin, address), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULUMI_DEBUG_PROVIDERS", f"{os.environ['PULUMI_DEBUG_PROVIDERS']},{address}")
        patch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        yield plugin


@contextmanager
def serve_simulated_plugin() -> Iterator[tuple[SimulatedCommandPlugin, str]]:
    """The plugin, and its address for PULUMI_DEBUG_PROVIDERS."""
    plugin = SimulatedCommandPlugin()
    with serve_provider("command", plugin) as address:
        yield plugin, address
