"""Takes the engine's place: starts a plugin, sends requests to it, and collects its log."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

LOCAL = "command:local:Command"
REMOTE = "command:remote:Command"
COPY = "command:remote:CopyToRemote"
COPY_FILE = "command:remote:CopyFile"

SIGNATURE = "4dabf18193072939515e22adb298388d"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
LIMIT = [("grpc.max_receive_message_length", 1 << 28), ("grpc.max_send_message_length", 1 << 28)]


def secret(value: Any) -> dict[str, Any]:
    return {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "value": value}


def is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(SIGNATURE) == secret(None)[SIGNATURE]


def is_unknown(value: Any) -> bool:
    """Whether a value is unknown. The plugins have two forms of an unknown secret."""
    unknown_secret = {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4", "secret": True}
    return value in (UNKNOWN, secret(UNKNOWN), unknown_secret)


def asset(path: Path | str, digest: str = "1") -> dict[str, Any]:
    return {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "hash": digest, "path": str(path)}


def text_asset(text: str, digest: str = "1") -> dict[str, Any]:
    return {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "hash": digest, "text": text}


def archive(path: Path | str, digest: str = "1") -> dict[str, Any]:
    return {SIGNATURE: "0def7320c3a5731c473e5ecbe6d01bc7", "hash": digest, "path": str(path)}


def with_all_members(source: dict[str, Any]) -> dict[str, Any]:
    """The asset or archive as a plugin returns it: members without a value are empty."""
    members = {"hash": "", "path": "", "text": "", "uri": ""}
    if source[SIGNATURE] == archive("")[SIGNATURE]:
        members = {"hash": "", "path": "", "assets": {}, "uri": ""}
    return {**members, **source}


def urn(kind: str, name: str = "it") -> str:
    return f"urn:pulumi:test::project::{kind}::{name}"


class PluginError(Exception):
    """The plugin answered with an error. The engine would show its text."""


@dataclass(frozen=True)
class Message:
    severity: str
    text: str
    urn: str
    ephemeral: bool
    at: float


class Log(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.arrived = threading.Condition()

    def Log(self, request: Any, context: Any) -> Any:
        severity = engine_pb2.LogSeverity.Name(request.severity)
        with self.arrived:
            self.messages.append(Message(severity, request.message, request.urn, request.ephemeral, time.monotonic()))
            self.arrived.notify_all()
        return empty_pb2.Empty()

    def wait_for(self, text: str, seconds: float = 10) -> Message:
        def match() -> Message | None:
            return next((message for message in self.messages if text in message.text), None)

        with self.arrived:
            assert self.arrived.wait_for(lambda: match() is not None, seconds), f"no line {text!r} was logged"
            message = match()
            assert message is not None
            return message


@dataclass(frozen=True)
class Created:
    id: str
    state: dict[str, Any]


class Plugin:
    """A running plugin. Properties are passed and returned as plain data."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Log) -> None:
        self.process = process
        self.log = log
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=LIMIT)
        self.stub = provider_pb2_grpc.ResourceProviderStub(channel)

    def check(self, kind: str, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        response = self.stub.Check(provider_pb2.CheckRequest(urn=urn(kind), news=_struct(inputs)))
        return _plain(response.inputs), {failure.property: failure.reason for failure in response.failures}

    def diff(
        self, kind: str, state: Mapping[str, Any], inputs: Mapping[str, Any], ignore: Sequence[str] = ()
    ) -> dict[str, str]:
        """The kinds of changes by path. Asserts that all parts of the response agree."""
        response = self.stub.Diff(
            provider_pb2.DiffRequest(
                id="1", urn=urn(kind), olds=_struct(state), news=_struct(inputs), ignoreChanges=ignore
            )
        )
        kinds = provider_pb2.PropertyDiff.Kind
        changes = {path: kinds.Name(change.kind) for path, change in response.detailedDiff.items()}
        assert response.hasDetailedDiff
        assert response.changes == (2 if changes else 1)
        assert set(response.replaces) == {path for path, change in changes.items() if "REPLACE" in change}
        assert not response.deleteBeforeReplace
        return changes

    def create(
        self,
        kind: str,
        inputs: Mapping[str, Any],
        *,
        name: str = "it",
        preview: bool = False,
        timeout: float = 0,
    ) -> Created:
        request = provider_pb2.CreateRequest(
            urn=urn(kind, name), properties=_struct(inputs), preview=preview, timeout=timeout
        )
        response = self._call(self.stub.Create, request)
        return Created(response.id, _plain(response.properties))

    def update(
        self, kind: str, state: Mapping[str, Any], inputs: Mapping[str, Any], *, preview: bool = False
    ) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(
            id="1", urn=urn(kind), olds=_struct(state), news=_struct(inputs), preview=preview
        )
        return _plain(self._call(self.stub.Update, request).properties)

    def delete(self, kind: str, state: Mapping[str, Any]) -> None:
        self._call(
            self.stub.Delete,
            provider_pb2.DeleteRequest(id="1", urn=urn(kind), properties=_struct(state)),
        )

    def read(self, kind: str, state: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[str, Any, Any]:
        request = provider_pb2.ReadRequest(id="1", urn=urn(kind), properties=_struct(state), inputs=_struct(inputs))
        response = self.stub.Read(request)
        return response.id, _plain(response.properties), _plain(response.inputs)

    def run(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        request = provider_pb2.InvokeRequest(tok="command:local:run", args=_struct(arguments))
        return _plain(getattr(self._call(self.stub.Invoke, request), "return"))

    def cancel(self) -> None:
        self.stub.Cancel(empty_pb2.Empty())

    def _call(self, method: Any, request: Any) -> Any:
        try:
            # No test takes this long. A plugin that hangs fails one test only.
            return method(request, timeout=60)
        except grpc.RpcError as error:
            call: Any = error
            raise PluginError(call.details()) from None

    def logged(self, kind: str, name: str = "it") -> str:
        """All ephemeral lines of a resource. A plugin may send several in one message."""
        messages = [
            message
            for message in self.log.messages
            if message.urn == urn(kind, name) and message.ephemeral and message.severity == "INFO"
        ]
        return "\n".join(message.text for message in messages)


def _struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(properties))
    return struct


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    return json_format.MessageToDict(struct)


@contextlib.contextmanager
def running_plugin(
    executable: Path, *, environment: Mapping[str, str] | None = None, flags: Sequence[str] = ()
) -> Iterator[Plugin]:
    log = Log()
    engine = grpc.server(ThreadPoolExecutor(8))
    engine_pb2_grpc.add_EngineServicer_to_server(log, engine)
    address = f"127.0.0.1:{engine.add_insecure_port('127.0.0.1:0')}"
    engine.start()
    process = subprocess.Popen(
        [executable, *flags, address],
        # Stays open and empty: a command that reads it by mistake hangs, and its test fails.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "SSH_AUTH_SOCK": "", **(environment or {})},
        text=True,
    )
    try:
        plugin = Plugin(process, _port(process), log)
        _handshake(plugin, address)
        yield plugin
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()
        engine.stop(None).wait()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], 20)
    assert readable, "the plugin printed no port within 20 s"
    return int(process.stdout.readline())


def _handshake(plugin: Plugin, address: str) -> None:
    try:
        plugin.stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address=address))
    except grpc.RpcError as error:
        call: Any = error
        assert call.code() is grpc.StatusCode.UNIMPLEMENTED
    response = plugin.stub.Configure(provider_pb2.ConfigureRequest(acceptSecrets=True))
    assert response.acceptSecrets
    assert response.supportsPreview
