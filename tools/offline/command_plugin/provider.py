"""The provider protocol: turns the engine's requests into operations on resources."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from . import VERSION, resources
from .diff import previewed_create, previewed_update, resource_diff
from .log import Engine, OperationLog
from .operation import CommandError, Operation
from .protocol import empty_pb2, grpc, plugin_pb2, provider_pb2, provider_pb2_grpc
from .schema import COPY_TO_REMOTE, LOCAL_RUN, RESOURCES, RUN_INPUTS, Failure, Resource, checked
from .values import Properties, from_struct, to_struct, with_all_members

T = TypeVar("T")


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves all resources of a run. Each call has its own thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._running: set[Operation] = set()
        self._cancelled = False

    # Start, configuration and cancellation.

    def Handshake(self, request: Any, context: Any) -> Any:
        self._engine.attach(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Any:
        self._engine.attach(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def GetMapping(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingsResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        self.cancel_all()
        return empty_pb2.Empty()

    def cancel_all(self) -> None:
        with self._lock:
            self._cancelled = True
            running = list(self._running)
        for operation in running:
            operation.cancel("cancelled")

    # Resources.

    def Check(self, request: Any, context: Any) -> Any:
        token, resource = _resource(request, context)
        inputs, failures = checked(from_struct(request.news), resource.inputs)
        if token == COPY_TO_REMOTE and not failures:
            failures = resources.source_failures(inputs)
        return provider_pb2.CheckResponse(inputs=_answer(inputs), failures=_failures(failures))

    def Diff(self, request: Any, context: Any) -> Any:
        _, resource = _resource(request, context)
        state, inputs = _with_ignored(request)
        changes = resource_diff(resource, state, inputs)
        kinds = provider_pb2.PropertyDiff.Kind
        detailed = {
            path: provider_pb2.PropertyDiff(
                kind=kinds.Value(change.change.value + ("_REPLACE" if change.replaces else ""))
            )
            for path, change in changes.items()
        }
        response = provider_pb2.DiffResponse
        return response(
            changes=response.DIFF_SOME if changes else response.DIFF_NONE,
            replaces=[path for path, change in changes.items() if change.replaces],
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        token, resource = _resource(request, context)
        inputs = from_struct(request.properties)
        name = request.urn.rpartition("::")[2]
        if request.preview:
            previewed = previewed_create(resource, inputs)
            return provider_pb2.CreateResponse(id=resources.previewed_id(token, name), properties=_answer(previewed))
        state = self._run(request, context, lambda operation: resources.create(operation, token, inputs))
        return provider_pb2.CreateResponse(id=resources.new_id(token, name), properties=_answer(state))

    def Read(self, request: Any, context: Any) -> Any:
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Update(self, request: Any, context: Any) -> Any:
        token, resource = _resource(request, context)
        state, inputs = _with_ignored(request)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=_answer(previewed_update(resource, state, inputs)))
        new = self._run(
            request, context, lambda operation: resources.update(operation, token, state=state, inputs=inputs)
        )
        return provider_pb2.UpdateResponse(properties=_answer(new))

    def Delete(self, request: Any, context: Any) -> Any:
        token, _ = _resource(request, context)
        state = from_struct(request.properties)
        self._run(request, context, lambda operation: resources.delete(operation, token, state))
        return empty_pb2.Empty()

    # Functions.

    def Invoke(self, request: Any, context: Any) -> Any:
        if request.tok != LOCAL_RUN:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown function {request.tok}")
        arguments, failures = checked(from_struct(request.args), RUN_INPUTS)
        if failures:
            return provider_pb2.InvokeResponse(failures=_failures(failures))
        result = self._run(request, context, lambda operation: resources.run(operation, arguments))
        return provider_pb2.InvokeResponse(**{"return": _answer(result)})

    def _run(self, request: Any, context: Any, work: Callable[[Operation], T]) -> T:
        with self._operation(request, context) as operation:
            try:
                return work(operation)
            except CommandError as error:
                failure = error
        # The log has been sent by now, so its last lines appear above the error.
        context.abort(grpc.StatusCode.UNKNOWN, str(failure))
        raise failure

    @contextmanager
    def _operation(self, request: Any, context: Any) -> Generator[Operation]:
        log = OperationLog(self._engine, getattr(request, "urn", ""))
        operation = Operation(log, getattr(request, "timeout", 0))
        # Called after a normal end, too, when nothing is left to cancel.
        context.add_callback(lambda: operation.cancel("cancelled: the engine has ended the call"))
        with self._lock:
            self._running.add(operation)
            is_late = self._cancelled
        if is_late:
            operation.cancel("cancelled")
        try:
            yield operation
        finally:
            operation.finish()
            log.close()
            with self._lock:
                self._running.discard(operation)


def _resource(request: Any, context: Any) -> tuple[str, Resource]:
    # urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>
    token: str = request.urn.split("::")[2].rpartition("$")[2]
    if token not in RESOURCES:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown resource type {token}")
    return token, RESOURCES[token]


def _with_ignored(request: Any) -> tuple[Properties, Properties]:
    state, inputs = from_struct(request.olds), from_struct(request.news)
    return state, {**inputs, **{name: state[name] for name in request.ignoreChanges if name in state}}


def _answer(properties: Properties) -> Any:
    return to_struct({name: with_all_members(value) for name, value in properties.items()})


def _failures(failures: list[Failure]) -> list[Any]:
    check_failure = provider_pb2.CheckFailure
    return [check_failure(property=failure.property, reason=failure.reason) for failure in failures]
