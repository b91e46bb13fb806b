"""A cloud's provider, as the real engine attaches to it: requests become calls of a simulated cloud.

The engine finds it by PULUMI_DEBUG_PROVIDERS=<package>:<port>.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from command_plugin.protocol import CHANNEL_OPTIONS
from command_plugin.values import UNKNOWN, Properties, from_struct, revealed, to_struct
from tests.clouds.faults import CloudError, Faults
from tests.clouds.resource_schema import DEFAULTS, Kind, like

T = TypeVar("T")
# Where the real providers keep what their state needs besides.
META = "__meta"
_THREADS = 64


class Type(ABC):
    """The resources of one type in the cloud. Values come without marks of secrets, and go so."""

    kind: Kind

    @abstractmethod
    def create(self, inputs: dict[str, Any]) -> str:
        """Make one; its id."""

    @abstractmethod
    def read(self, id: str) -> dict[str, Any] | None:
        """All that the cloud tells of it, inputs among it; None where it isn't there."""

    @abstractmethod
    def update(self, id: str, olds: dict[str, Any], news: dict[str, Any]) -> None: ...

    @abstractmethod
    def delete(self, id: str) -> None:
        """Take it away; one that isn't there any more is as good."""

    def imported(self, live: dict[str, Any]) -> dict[str, Any]:
        """The inputs of one that Pulumi has not made."""
        known = {key.removesuffix("!") for key in self.kind.inputs}
        return {key: value for key, value in live.items() if key in known}


class Cloud(ABC):
    """What a provider needs of a simulated cloud."""

    package: str
    version: str
    # Of the types whose state says in which version of its schema it is written: the real provider migrates what it
    # takes for an older one.
    schema_versions: ClassVar[Mapping[str, int]]

    def __init__(self) -> None:
        self.faults = Faults()
        self.calls: list[tuple[str, str]] = []

    @abstractmethod
    def configure(self, settings: dict[str, Any]) -> None:
        """Take the provider's settings; raises CloudError where one is missing."""

    @abstractmethod
    def types(self) -> Mapping[str, Type]: ...

    @abstractmethod
    def functions(self) -> Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]: ...

    @abstractmethod
    def show(self) -> None:
        """Bring machines and packets to what the account says."""

    @abstractmethod
    def leftovers(self) -> list[str]:
        """What is there and costs money: one line each."""


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One for as many runs of the engine as come; each call in a thread of its own."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._types = cloud.types()

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._cloud.version)

    def GetSchema(self, request: Any, context: Any) -> Any:
        described = {
            "name": self._cloud.package,
            "version": self._cloud.version,
            "resources": {token: {} for token in self._types},
        }
        return provider_pb2.GetSchemaResponse(schema=json.dumps(described))

    def GetMapping(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingsResponse()

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        settings = {key: _parsed(value) for key, value in from_struct(request.args).items()}
        _answer(context, lambda: self._cloud.configure(settings))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Check(self, request: Any, context: Any) -> Any:
        type_ = self._type(request, context)
        name = request.urn.rpartition("::")[2]
        inputs, failures = type_.kind.check(name, from_struct(request.olds), from_struct(request.news))
        told = [provider_pb2.CheckFailure(property=each.property, reason=each.reason) for each in failures]
        return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=told)

    def Diff(self, request: Any, context: Any) -> Any:
        kind = self._type(request, context).kind
        _answer(context, lambda: self._migrated(request, request.olds))
        olds, news = from_struct(request.old_inputs), _with_ignored(request)
        changed, replaces = kind.diff(olds, news)
        response, each = provider_pb2.DiffResponse, provider_pb2.PropertyDiff
        detailed = {
            key: each(kind=each.UPDATE_REPLACE if key in replaces else each.UPDATE, inputDiff=True) for key in changed
        }
        return response(
            changes=response.DIFF_SOME if changed else response.DIFF_NONE,
            diffs=changed,
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and kind.replaces_in_place(news),
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        type_, inputs = self._type(request, context), from_struct(request.properties)
        if request.preview:
            outputs = {key: UNKNOWN for key in type_.kind.outputs if key not in inputs}
            return provider_pb2.CreateResponse(properties=to_struct({**_shown(inputs), **outputs}))

        def create() -> tuple[str, dict[str, Any] | None]:
            id = type_.create(_plain(inputs))
            return id, type_.read(id)

        id, live = self._call("create", request, context, create)
        return provider_pb2.CreateResponse(id=id, properties=self._told(request, inputs, live or {}))

    def Read(self, request: Any, context: Any) -> Any:
        type_, olds = self._type(request, context), from_struct(request.inputs)
        _answer(context, lambda: self._migrated(request, request.properties))
        live = self._call("read", request, context, lambda: type_.read(request.id))
        if live is None:
            return provider_pb2.ReadResponse()
        inputs = {key: live.get(key, value) for key, value in olds.items()} if olds else type_.imported(live)
        inputs = like(olds, inputs)
        told = self._told(request, olds, live)
        return provider_pb2.ReadResponse(id=request.id, inputs=to_struct(inputs), properties=told)

    def Update(self, request: Any, context: Any) -> Any:
        type_ = self._type(request, context)
        _answer(context, lambda: self._migrated(request, request.olds))
        olds, inputs = from_struct(request.old_inputs), _with_ignored(request)
        if request.preview:
            state = from_struct(request.olds)
            return provider_pb2.UpdateResponse(properties=to_struct({**state, **_shown(inputs)}))

        def update() -> dict[str, Any] | None:
            if type_.read(request.id) is None:
                raise CloudError(f"{request.id} is not there (any more): pulumi refresh notes that")
            type_.update(request.id, _plain(olds), _plain(inputs))
            return type_.read(request.id)

        live = self._call("update", request, context, update)
        return provider_pb2.UpdateResponse(properties=self._told(request, inputs, live or {}))

    def Delete(self, request: Any, context: Any) -> Any:
        type_ = self._type(request, context)
        _answer(context, lambda: self._migrated(request, request.properties))
        self._call("delete", request, context, lambda: type_.delete(request.id))
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        function = self._cloud.functions().get(request.tok)
        if function is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown function {request.tok}")
            raise AssertionError
        found = _answer(context, lambda: function(_plain(from_struct(request.args))))
        return provider_pb2.InvokeResponse(**{"return": to_struct(found)})

    def _told(self, request: Any, inputs: Properties, live: Mapping[str, Any]) -> Any:
        """The outputs, with the version of their schema."""
        version = self._cloud.schema_versions.get(_token(request))
        meta = {META: json.dumps({"schema_version": str(version)})} if version else {}
        return to_struct({**like(inputs, {**_shown(inputs), **live}), **meta})

    def _migrated(self, request: Any, state: Any) -> None:
        """Fails as a migration does, for which a state without the outputs of that time isn't written."""
        known = from_struct(state)
        version = self._cloud.schema_versions.get(_token(request))
        meta = json.loads(str(known.get(META, "{}")))
        if known and version and meta.get("schema_version") != str(version):
            raise CloudError(f"panic: interface conversion: interface {{}} is nil (migrating {request.urn})")

    def _type(self, request: Any, context: Any) -> Type:
        token = _token(request)
        if token not in self._types:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown resource type {token}")
        return self._types[token]

    def _call(self, operation: str, request: Any, context: Any, work: Callable[[], T]) -> T:
        token = _token(request)
        name: str = request.urn.rpartition("::")[2]
        self._cloud.calls.append((operation, name))

        def call() -> T:
            self._cloud.faults.before(operation, token, name)
            done = work()
            self._cloud.faults.after(operation, token, name)
            return done

        return _answer(context, call)


@contextmanager
def served(cloud: Cloud) -> Iterator[str]:
    """Serve the cloud's provider; what PULUMI_DEBUG_PROVIDERS is to say."""
    with serving(cloud.package, Provider(cloud)) as provider:
        yield provider


@contextmanager
def serving(package: str, provider: provider_pb2_grpc.ResourceProviderServicer) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"{package}:{port}"
    finally:
        server.stop(grace=None).wait()


def _token(request: Any) -> str:
    # urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>
    return request.urn.split("::")[2].rpartition("$")[2]


def _answer(context: Any, work: Callable[[], T]) -> T:
    try:
        return work()
    except CloudError as error:
        _abort(context, str(error))


def _abort(context: Any, said: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, said)
    raise AssertionError("abort raises")


def _parsed(value: Any) -> Any:
    """Settings that aren't text come as JSON in text."""
    value = revealed(value)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _plain(inputs: Properties) -> dict[str, Any]:
    return {key: revealed(value) for key, value in inputs.items() if key != DEFAULTS and value is not None}


def _shown(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key != DEFAULTS}


def _with_ignored(request: Any) -> Properties:
    olds, news = from_struct(request.old_inputs), from_struct(request.news)
    return {**news, **{key: olds[key] for key in request.ignoreChanges if key in olds}}
