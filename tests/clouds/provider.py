"""A provider that the real engine attaches to. It turns the engine's requests into calls of a simulated cloud.

The engine finds it through PULUMI_DEBUG_PROVIDERS=<package>:<port>.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.clouds.faults import CloudBusy, CloudError, ProviderCrash
from tests.clouds.resource_schema import DEFAULTS
from tests.clouds.simulated_cloud import CONNECTION, Document, ResourceType, SimulatedCloud
from tools.offline.command_plugin.protocol import CHANNEL_OPTIONS
from tools.offline.command_plugin.values import UNKNOWN, Properties, from_struct, revealed, to_struct

T = TypeVar("T")
# Under this key the real providers keep private data in the state.
META = "__meta"
_THREADS = 64
_PAUSE_SECONDS = 0.1


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves any number of engines at once, each call in its own thread."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud
        self._types = cloud.types()
        # Ends the provider as a crash does: every call in progress fails, and every later one is refused.
        self.crash: Callable[[], object] = lambda: None

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=False)

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._cloud.version)

    def GetSchema(self, request: Any, context: Any) -> Any:
        schema = {
            "name": self._cloud.package,
            "version": self._cloud.version,
            "resources": {token: {} for token in self._types},
        }
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def GetMapping(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingsResponse()

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        CONNECTION.set(context.peer())
        settings = {key: _parsed(value) for key, value in from_struct(request.args).items()}
        _abort_on_error(context, lambda: self._cloud.configure(settings))
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Check(self, request: Any, context: Any) -> Any:
        type_ = self._type(request, context)
        name = request.urn.rpartition("::")[2]
        inputs, mistakes = type_.schema.check(name, from_struct(request.olds), from_struct(request.news))
        inputs = inputs if mistakes else type_.with_added_inputs(inputs)
        failures = [provider_pb2.CheckFailure(property=mistake.property, reason=mistake.reason) for mistake in mistakes]
        return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        schema = self._type(request, context).schema
        _abort_on_error(context, lambda: self._check_schema_version(request, request.olds))
        # A computed input that the program left out has the value that the cloud chose.
        state = from_struct(request.olds)
        olds = schema.completed(state, from_struct(request.old_inputs))
        news = _new_inputs(request)
        # States of earlier doubles lack the inputs that the provider adds. Their outputs have them.
        added_inputs = news.keys() - schema.input_names() - {DEFAULTS}
        olds = {**{key: state[key] for key in added_inputs if key in state}, **olds}
        changes, replaces = schema.diff(olds, news)
        response, property_diff = provider_pb2.DiffResponse, provider_pb2.PropertyDiff
        detailed_diff = {
            key: property_diff(
                kind=property_diff.UPDATE_REPLACE if key in replaces else property_diff.UPDATE, inputDiff=True
            )
            for key in changes
        }
        return response(
            changes=response.DIFF_SOME if changes else response.DIFF_NONE,
            diffs=changes,
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and schema.deletes_before_replace(news),
            detailedDiff=detailed_diff,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        type_, inputs = self._type(request, context), from_struct(request.properties)
        if request.preview:
            outputs = {key: UNKNOWN for key in type_.schema.unknown_outputs() if key not in inputs}
            return provider_pb2.CreateResponse(properties=to_struct({**_without_defaults(inputs), **outputs}))

        def create() -> tuple[str, Document | None]:
            id = type_.create(_plain(inputs))
            return id, type_.read(id)

        id, live = self._call("create", request, context, work=create)
        return provider_pb2.CreateResponse(id=id, properties=self._outputs(request, inputs, live or {}))

    def Read(self, request: Any, context: Any) -> Any:
        type_, olds = self._type(request, context), from_struct(request.inputs)
        _abort_on_error(context, lambda: self._check_schema_version(request, request.properties))
        live = self._call("read", request, context, work=lambda: type_.read(request.id))
        if live is None:
            return provider_pb2.ReadResponse()
        inputs = {key: live.get(key, value) for key, value in olds.items()} if olds else type_.import_inputs(live)
        outputs = self._outputs(request, olds, live)
        return provider_pb2.ReadResponse(id=request.id, inputs=to_struct(inputs), properties=outputs)

    def Update(self, request: Any, context: Any) -> Any:
        type_ = self._type(request, context)
        _abort_on_error(context, lambda: self._check_schema_version(request, request.olds))
        state = from_struct(request.olds)
        olds = type_.schema.completed(state, from_struct(request.old_inputs))
        inputs = type_.schema.completed(state, _new_inputs(request))
        if request.preview:
            return provider_pb2.UpdateResponse(properties=to_struct({**state, **_without_defaults(inputs)}))

        def update() -> Document | None:
            if type_.read(request.id) is None:
                raise CloudError(f"{request.id} doesn't exist any more: pulumi refresh records that")
            type_.update(request.id, _plain(olds), _plain(inputs))
            return type_.read(request.id)

        live = self._call("update", request, context, work=update)
        return provider_pb2.UpdateResponse(properties=self._outputs(request, inputs, live or {}))

    def Delete(self, request: Any, context: Any) -> Any:
        type_ = self._type(request, context)
        _abort_on_error(context, lambda: self._check_schema_version(request, request.properties))
        state = _plain(from_struct(request.properties))
        self._call("delete", request, context, work=lambda: type_.delete_as_recorded(request.id, state))
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        function = self._cloud.functions().get(request.tok)
        if function is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown function {request.tok}")
            raise AssertionError
        results = _abort_on_error(context, lambda: function(_plain(from_struct(request.args))))
        return provider_pb2.InvokeResponse(**{"return": to_struct(results)})

    def _outputs(self, request: Any, inputs: Properties, live: Mapping[str, Any]) -> Any:
        """The outputs, with the version of the state's schema."""
        version = self._cloud.schema_versions.get(_token(request))
        meta = {META: json.dumps({"schema_version": str(version)})} if version else {}
        return to_struct({**_without_defaults(inputs), **live, **meta})

    def _check_schema_version(self, request: Any, state: Any) -> None:
        """Fail where the real provider would migrate the state. Its migration fails on a state that has only inputs."""
        properties = from_struct(state)
        version = self._cloud.schema_versions.get(_token(request))
        meta = json.loads(str(properties.get(META, "{}")))
        if properties and version and meta.get("schema_version") != str(version):
            raise CloudError(f"panic: interface conversion: interface {{}} is nil (migrating {request.urn})")

    def _type(self, request: Any, context: Any) -> ResourceType:
        CONNECTION.set(context.peer())
        token = _token(request)
        if token not in self._types:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown resource type {token}")
        return self._types[token]

    def _call(self, operation: str, request: Any, context: Any, *, work: Callable[[], T]) -> T:
        """Record the call and do its work, with the faults that the test switched on."""
        token = _token(request)
        name: str = request.urn.rpartition("::")[2]
        self._cloud.calls.append((operation, name))

        def call() -> T:
            self._cloud.faults.before(operation, token, name)
            result = self._until_not_busy(context, work)
            self._cloud.faults.after(operation, token, name)
            return result

        try:
            return _abort_on_error(context, call)
        except ProviderCrash as crash:
            self.crash()
            _abort(context, str(crash))

    def _until_not_busy(self, context: Any, work: Callable[[], T]) -> T:
        """Repeat the work while the cloud is busy. Raises CloudBusy when the time is up or the engine is gone."""
        end = time.monotonic() + self._cloud.faults.retry_seconds
        while True:
            try:
                return work()
            except CloudBusy:
                if time.monotonic() > end or not context.is_active():
                    raise
                time.sleep(_PAUSE_SECONDS)


@contextmanager
def serve_cloud(cloud: SimulatedCloud) -> Iterator[str]:
    """Serve the cloud's provider; the value for PULUMI_DEBUG_PROVIDERS."""
    with serve_provider(cloud.package, Provider(cloud)) as address:
        yield address


@contextmanager
def serve_provider(package: str, provider: provider_pb2_grpc.ResourceProviderServicer) -> Iterator[str]:
    """Serve a provider; the value for PULUMI_DEBUG_PROVIDERS."""
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    if isinstance(provider, Provider):
        provider.crash = lambda: server.stop(grace=None)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"{package}:{port}"
    finally:
        server.stop(grace=None).wait()


def _token(request: Any) -> str:
    # urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>
    return request.urn.split("::")[2].rpartition("$")[2]


def _abort_on_error(context: Any, work: Callable[[], T]) -> T:
    """Do the work. An error of the cloud becomes the error of the call."""
    try:
        return work()
    except CloudError as error:
        _abort(context, str(error))


def _abort(context: Any, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort raises")


def _parsed(value: Any) -> Any:
    """A setting. Pulumi passes those that aren't text as JSON in a string."""
    value = revealed(value)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _plain(inputs: Properties) -> Document:
    return {key: revealed(value) for key, value in inputs.items() if key != DEFAULTS and value is not None}


def _without_defaults(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key != DEFAULTS}


def _new_inputs(request: Any) -> Properties:
    """The new inputs, with the old values of those whose changes the program ignores."""
    olds, news = from_struct(request.old_inputs), from_struct(request.news)
    return {**news, **{key: olds[key] for key in request.ignoreChanges if key in olds}}
