"""Creates, updates and deletes each resource."""

from __future__ import annotations

import os
import secrets
from typing import cast

from .assets import archive_of, collect_assets
from .diff import same
from .local import LocalCommand, run_locally
from .operation import Operation
from .output import Result
from .remote import RemoteCommand, run_remotely
from .schema import COPY_FILE, LOCAL_COMMAND, REMOTE_COMMAND, Failure
from .transfer import copy_file, copy_to_remote
from .values import Properties, Value, is_archive, is_asset, is_unknown, revealed, unwrapped

_NO_OUTPUT: Properties = {"stdout": "", "stderr": ""}
_COMMANDS = (LOCAL_COMMAND, REMOTE_COMMAND)


def new_id(token: str, name: str) -> str:
    return (name if token in _COMMANDS else "") + secrets.token_hex(4)


def previewed_id(token: str, name: str) -> str:
    """The id in a preview. As in the official plugin, a command has one already, and a copy has none."""
    return new_id(token, name) if token in _COMMANDS else ""


def create(operation: Operation, token: str, inputs: Properties) -> Properties:
    if token in _COMMANDS:
        return {**inputs, **_run(operation, token, command=inputs.get("create"), properties=inputs, last=_NO_OUTPUT)}
    _copy(operation, token, inputs)
    return inputs


def update(operation: Operation, token: str, *, state: Properties, inputs: Properties) -> Properties:
    if token in _COMMANDS:
        last = {**_NO_OUTPUT, **_outputs(state)}
        command = inputs.get("update") if inputs.get("update") is not None else inputs.get("create")
        return {**inputs, **_run(operation, token, command=command, properties=inputs, last=last)}
    if _needs_copy(state, inputs):
        _copy(operation, token, inputs)
    return inputs


def delete(operation: Operation, token: str, state: Properties) -> None:
    if token in _COMMANDS:
        last = {**_NO_OUTPUT, **_outputs(state)}
        _run(operation, token, command=state.get("delete"), properties=state, last=last)


def run(operation: Operation, arguments: Properties) -> Properties:
    """The function command:local:run."""
    command = arguments.get("command")
    outputs = _run(operation, LOCAL_COMMAND, command=command, properties=arguments, last=_NO_OUTPUT)
    return {**arguments, **outputs}


def source_failures(inputs: Properties) -> list[Failure]:
    """The failures of a copy's source: it must be a file, a folder or a text that isn't empty."""
    source = revealed(inputs.get("source"))
    if not isinstance(source, dict) or is_unknown(source):
        return []
    if is_archive(source) and not source.get("path"):
        return [Failure("archive", "archive must be a path to a file or directory")]
    # The official plugin doesn't tell an empty text from no text.
    if is_asset(source) and not source.get("path") and not source.get("text"):
        return [Failure("asset", "asset must be a path-based file asset or a text asset")]
    return []


def _outputs(state: Properties) -> Properties:
    return {name: state[name] for name in ("stdout", "stderr", "assets", "archive") if name in state}


def _run(operation: Operation, token: str, *, command: Value, properties: Properties, last: Properties) -> Properties:
    """Runs the command and returns the outputs. Without a command these are the last ones."""
    plain = revealed(properties)
    assert isinstance(plain, dict)
    text = unwrapped(command)
    if not isinstance(text, str):
        return last
    if token == REMOTE_COMMAND:
        result = run_remotely(operation, _remote(text, plain, last))
        return {**last, **_output_values(result)}
    result = run_locally(operation, _local(text, plain, last))
    return {**last, **_output_values(result), **_files(plain)}


def _output_values(result: Result) -> Properties:
    return {"stdout": result.stdout, "stderr": result.stderr}


def _local(command: str, plain: Properties, last: Properties) -> LocalCommand:
    interpreter = _strings(plain.get("interpreter"))
    return LocalCommand(
        command=command,
        interpreter=interpreter or ["/bin/sh", "-c"],
        dir=cast("str | None", plain.get("dir")),
        environment={**_environment(plain), **_previous(plain, last)},
        stdin=cast("str | None", plain.get("stdin")) or "",
        logging=cast("str | None", plain.get("logging")),
    )


def _remote(command: str, plain: Properties, last: Properties) -> RemoteCommand:
    return RemoteCommand(
        connection=cast(Properties, plain["connection"]),
        command=command,
        environment=_environment(plain),
        previous=_previous(plain, last),
        stdin=cast("str | None", plain.get("stdin")) or "",
        logging=cast("str | None", plain.get("logging")),
    )


def _environment(plain: Properties) -> dict[str, str]:
    environment = plain.get("environment")
    return cast("dict[str, str]", environment) if isinstance(environment, dict) else {}


def _previous(plain: Properties, last: Properties) -> dict[str, str]:
    if plain.get("addPreviousOutputInEnv") is False:
        return {}
    return {
        f"PULUMI_COMMAND_{name.upper()}": text
        for name in ("stdout", "stderr")
        if isinstance(text := revealed(last.get(name)), str) and text
    }


def _files(plain: Properties) -> Properties:
    directory = cast("str | None", plain.get("dir")) or os.getcwd()  # noqa: PTH109  (dir is a text, too)
    files: Properties = {}
    if plain.get("assetPaths") is not None:
        files["assets"] = collect_assets(directory, _strings(plain["assetPaths"]))
    if plain.get("archivePaths") is not None:
        files["archive"] = archive_of(collect_assets(directory, _strings(plain["archivePaths"])))
    return files


def _strings(value: Value) -> list[str]:
    return [str(element) for element in value] if isinstance(value, list) else []


def _copy(operation: Operation, token: str, inputs: Properties) -> None:
    plain = cast("dict[str, Properties]", revealed(inputs))
    remote_path = str(plain["remotePath"])
    if token == COPY_FILE:
        copy_file(operation, plain["connection"], local_path=str(plain["localPath"]), remote_path=remote_path)
    else:
        copy_to_remote(operation, plain["connection"], source=plain["source"], remote_path=remote_path)


def _needs_copy(state: Properties, inputs: Properties) -> bool:
    compared = ("source", "remotePath")
    return any(not same(revealed(state.get(name)), revealed(inputs.get(name))) for name in compared)
