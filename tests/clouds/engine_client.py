"""A small stand-in for the engine: it sends single requests to a cloud's provider, as the real engine would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from tests.clouds.provider import serve_cloud
from tests.clouds.simulated_cloud import SimulatedCloud
from tools.offline.command_plugin.values import Properties, from_struct, revealed, to_struct


class ProviderError(Exception):
    """The provider or the cloud refused a request; the message says why."""


@dataclass
class EngineClient:
    """Works on one resource at a time."""

    provider: Any

    def configure(self, **settings: str) -> None:
        self._send("Configure", provider_pb2.ConfigureRequest(args=to_struct(dict(settings))))

    def check(self, token: str, name: str, inputs: Properties, *, olds: Properties | None = None) -> Properties:
        """The inputs as the provider completes them. Raises ProviderError with all their mistakes."""
        request = provider_pb2.CheckRequest(urn=_urn(token, name), news=to_struct(inputs), olds=to_struct(olds or {}))
        response = self._send("Check", request)
        if response.failures:
            raise ProviderError("; ".join(f"{failure.property}: {failure.reason}" for failure in response.failures))
        return from_struct(response.inputs)

    def create(self, token: str, name: str = "it", /, **inputs: Any) -> tuple[str, dict[str, Any]]:
        """Check the inputs and create a resource; its id and its outputs. ``name`` is its name in the program."""
        properties = to_struct(self.check(token, name, inputs))
        response = self._send("Create", provider_pb2.CreateRequest(urn=_urn(token, name), properties=properties))
        return response.id, _plain(response.properties)

    def diff(self, token: str, olds: Properties, news: Properties, *, state: Properties | None = None) -> Any:
        """The provider's DiffResponse. ``state`` has the old inputs and the values that the cloud chose."""
        request = provider_pb2.DiffRequest(
            id="it",
            urn=_urn(token, "it"),
            old_inputs=to_struct(olds),
            news=to_struct(news),
            olds=to_struct(state or {}),
        )
        return self._send("Diff", request)

    def read(self, token: str, id: str, inputs: Properties | None = None) -> dict[str, Any] | None:
        """The outputs of a resource; None where it doesn't exist."""
        request = provider_pb2.ReadRequest(id=id, urn=_urn(token, "it"), inputs=to_struct(inputs or {}))
        response = self._send("Read", request)
        return _plain(response.properties) if response.id else None

    def update(
        self, token: str, id: str, *, olds: Properties, news: Properties, state: Properties | None = None
    ) -> dict[str, Any]:
        """The outputs after the update."""
        request = provider_pb2.UpdateRequest(
            id=id, urn=_urn(token, "it"), old_inputs=to_struct(olds), news=to_struct(news), olds=to_struct(state or {})
        )
        return _plain(self._send("Update", request).properties)

    def delete(self, token: str, id: str, state: Properties | None = None) -> None:
        request = provider_pb2.DeleteRequest(id=id, urn=_urn(token, "it"), properties=to_struct(state or {}))
        self._send("Delete", request)

    def preview(self, token: str, **inputs: Any) -> Properties:
        """The outputs that the preview of a new resource shows."""
        properties = to_struct(self.check(token, "it", inputs))
        request = provider_pb2.CreateRequest(urn=_urn(token, "it"), properties=properties, preview=True)
        return from_struct(self._send("Create", request).properties)

    def invoke(self, token: str, **arguments: Any) -> dict[str, Any]:
        response = self._send("Invoke", provider_pb2.InvokeRequest(tok=token, args=to_struct(arguments)))
        return _plain(getattr(response, "return"))

    def _send(self, method: str, request: Any) -> Any:
        try:
            return getattr(self.provider, method)(request)
        except grpc.RpcError as error:
            raise ProviderError(str(error.details())) from None


@contextmanager
def connect_engine(cloud: SimulatedCloud) -> Iterator[EngineClient]:
    with serve_cloud(cloud) as address, grpc.insecure_channel(f"127.0.0.1:{address.rpartition(':')[2]}") as channel:
        yield EngineClient(provider_pb2_grpc.ResourceProviderStub(channel))


def _urn(token: str, name: str) -> str:
    return f"urn:pulumi:test::project::{token}::{name}"


def _plain(struct: Any) -> dict[str, Any]:
    return {key: revealed(value) for key, value in from_struct(struct).items()}
