"""The command plugin without any machine: what it is asked to do on servers counts as done, and is written down."""

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

from command_plugin import resources
from command_plugin.log import Engine
from command_plugin.provider import Provider
from command_plugin.values import from_struct, to_struct
from components.leaving import LEAVING_FILE
from tests.clouds.provider import serving

# What every command prints: of the one that is asked for a server's host key, a key.
PRINTED = "ssh-ed25519 AAAA"


class Commands(Provider):
    """The offline plugin, whose checks and previews are its own, up to where it would log in."""

    def __init__(self) -> None:
        super().__init__(Engine())
        self.asked: list[tuple[str, str]] = []
        # Whose updates fail, after they have been carried out.
        self.refuse: set[str] = set()

    def Create(self, request: Any, context: Any) -> Any:
        if request.preview:
            return super().Create(request, context)
        name = self._note("create", request)
        token: str = request.urn.split("::")[2].rpartition("$")[2]
        return provider_pb2.CreateResponse(id=resources.new_id(token, name), properties=_done(request.properties))

    def Update(self, request: Any, context: Any) -> Any:
        if request.preview:
            return super().Update(request, context)
        if self._note("update", request) in self.refuse:
            context.abort(grpc.StatusCode.UNKNOWN, "the connection was lost")
        return provider_pb2.UpdateResponse(properties=_done(request.news))

    def Delete(self, request: Any, context: Any) -> Any:
        self._note("delete", request)
        return empty_pb2.Empty()

    def _note(self, operation: str, request: Any) -> str:
        name: str = request.urn.rpartition("::")[2]
        self.asked.append((operation, name))
        return name


def _done(inputs: Any) -> Any:
    given = from_struct(inputs)
    # A release on probation says until when, which no other one does.
    said = f"until {time.time_ns()}" if "--probation" in str(given.get("create")) else PRINTED
    return to_struct({**given, "stdout": said, "stderr": ""})


# For those that log in by themselves, as the provider of Leaving and the hook of Handover do.
SSH = f"""#!/bin/sh
case "$*" in *{LEAVING_FILE}*) exit 255 ;; esac
cat > /dev/null
echo {PRINTED}
"""


@contextmanager
def without_servers(folder: Path) -> Iterator[Commands]:
    """Whatever is done on servers counts as done; only those that are to leave a balancer can't be reached."""
    program = folder / "bin/ssh"
    program.parent.mkdir()
    program.write_text(SSH)
    program.chmod(0o755)
    with recorded() as (commands, provider), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULUMI_DEBUG_PROVIDERS", f"{os.environ['PULUMI_DEBUG_PROVIDERS']},{provider}")
        patch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        yield commands


@contextmanager
def recorded() -> Iterator[tuple[Commands, str]]:
    """The plugin, and what PULUMI_DEBUG_PROVIDERS is to say."""
    commands = Commands()
    with serving("command", commands) as provider:
        yield commands, provider
