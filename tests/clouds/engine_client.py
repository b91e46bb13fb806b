"""An engine of a few lines, which asks a cloud's provider as the real one would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from command_plugin.values import Properties, from_struct, revealed, to_struct
from tests.clouds.provider import Cloud, served


class Refused(Exception):
    """Why the provider or the cloud would not."""


@dataclass
class Engine:
    """One resource at a time: ``make`` is check and create, ``change`` is check, diff and update."""

    provider: Any

    def configure(self, **settings: str) -> None:
        self._ask("Configure", provider_pb2.ConfigureRequest(args=to_struct(dict(settings))))

    def check(self, token: str, name: str, inputs: Properties, olds: Properties | None = None) -> Properties:
        request = provider_pb2.CheckRequest(urn=_urn(token, name), news=to_struct(inputs), olds=to_struct(olds or {}))
        answer = self._ask("Check", request)
        if answer.failures:
            raise Refused("; ".join(f"{each.property}: {each.reason}" for each in answer.failures))
        return from_struct(answer.inputs)

    def make(self, token: str, name: str = "it", **inputs: Any) -> tuple[str, dict[str, Any]]:
        """Its id and its outputs."""
        checked = self.check(token, name, inputs)
        answer = self._ask("Create", provider_pb2.CreateRequest(urn=_urn(token, name), properties=to_struct(checked)))
        return answer.id, _plain(answer.properties)

    def diff(self, token: str, olds: Properties, news: Properties) -> Any:
        request = provider_pb2.DiffRequest(
            id="it", urn=_urn(token, "it"), old_inputs=to_struct(olds), news=to_struct(news)
        )
        return self._ask("Diff", request)

    def read(self, token: str, id: str, inputs: Properties | None = None) -> dict[str, Any] | None:
        request = provider_pb2.ReadRequest(id=id, urn=_urn(token, "it"), inputs=to_struct(inputs or {}))
        answer = self._ask("Read", request)
        return _plain(answer.properties) if answer.id else None

    def update(self, token: str, id: str, olds: Properties, news: Properties) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(
            id=id, urn=_urn(token, "it"), old_inputs=to_struct(olds), news=to_struct(news)
        )
        return _plain(self._ask("Update", request).properties)

    def delete(self, token: str, id: str) -> None:
        self._ask("Delete", provider_pb2.DeleteRequest(id=id, urn=_urn(token, "it")))

    def preview(self, token: str, **inputs: Any) -> Properties:
        checked = self.check(token, "it", inputs)
        request = provider_pb2.CreateRequest(urn=_urn(token, "it"), properties=to_struct(checked), preview=True)
        return from_struct(self._ask("Create", request).properties)

    def invoke(self, token: str, **arguments: Any) -> dict[str, Any]:
        answer = self._ask("Invoke", provider_pb2.InvokeRequest(tok=token, args=to_struct(arguments)))
        return _plain(getattr(answer, "return"))

    def _ask(self, method: str, request: Any) -> Any:
        try:
            return getattr(self.provider, method)(request)
        except grpc.RpcError as error:
            raise Refused(str(error.details())) from None


@contextmanager
def asked(cloud: Cloud) -> Iterator[Engine]:
    with served(cloud) as address, grpc.insecure_channel(f"127.0.0.1:{address.rpartition(':')[2]}") as channel:
        yield Engine(provider_pb2_grpc.ResourceProviderStub(channel))


def _urn(token: str, name: str) -> str:
    return f"urn:pulumi:test::project::{token}::{name}"


def _plain(struct: Any) -> dict[str, Any]:
    return {key: revealed(value) for key, value in from_struct(struct).items()}
