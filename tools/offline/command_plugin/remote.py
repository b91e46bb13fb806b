"""command:remote:Command: a command in an SSH session."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import ssh
from .connection import dial
from .link import Link
from .operation import CommandError, Operation
from .output import Output, Result
from .values import Properties

_CHUNK = 64 * 1024
# Seconds that a cancelled command has to end before its connection is closed.
_GRACE = 2.0


@dataclass(frozen=True, kw_only=True)
class RemoteCommand:
    connection: Properties
    command: str
    environment: dict[str, str] = field(default_factory=dict[str, str])
    # The outputs of the last run. If the server refuses these variables, that is only a warning.
    previous: dict[str, str] = field(default_factory=dict[str, str])
    stdin: str = ""
    logging: str | None = None


def run_remotely(operation: Operation, spec: RemoteCommand) -> Result:
    """Runs the command and returns its output.

    If it fails, is cancelled or loses its connection, the CommandError contains the output.
    """
    output = Output(spec.logging, operation.log.line)
    with dial(operation, spec.connection) as link:
        channel = _session(operation, link, spec)
        with operation.stopping(lambda: _stop(link, channel)):
            problem = _start(channel, spec.command)
            if not problem:
                _pump(channel, spec.stdin, output)
                # The command can go on after it has closed its streams.
                problem = _failure(link, channel.recv_exit_status())
        output.end()
        if operation.cancelled:
            problem = operation.reason
    if problem:
        raise output.failure(problem, spec.command)
    return output.result()


def _start(channel: Any, command: str) -> str:
    """Starts the command. Returns why that failed, or an empty text."""
    try:
        channel.exec_command(command)
    except (ssh.paramiko().SSHException, OSError, EOFError) as error:
        return f"the server did not start the command ({error})"
    return ""


def _failure(link: Link, status: int) -> str:
    """Why the exit status means a failure, or an empty text."""
    if status == 0:
        return ""
    if status > 0:
        return f"Process exited with status {status}"
    if not link.transport.is_active():
        return str(link.lost_error())
    return "Process exited without a status: a signal ended it"


def _pump(channel: Any, stdin: str, output: Output) -> None:
    threads = [
        threading.Thread(target=_read, args=(channel.recv_stderr, output.stderr), daemon=True),
        threading.Thread(target=_write, args=(channel, stdin.encode()), daemon=True),
    ]
    for thread in threads:
        thread.start()
    _read(channel.recv, output.stdout)
    # A command may ignore its input, so nothing waits for the writer.
    threads[0].join()


def _read(receive: Callable[[int], bytes], take: Callable[[bytes], None]) -> None:
    try:
        while data := receive(_CHUNK):
            take(data)
    except OSError:
        return


def _write(channel: Any, data: bytes) -> None:
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except (OSError, EOFError, ssh.paramiko().SSHException):
        return


def _session(operation: Operation, link: Link, spec: RemoteCommand) -> Any:
    """Opens a session with the environment variables that the server accepts."""
    refused: set[str] = set()
    while True:
        try:
            channel = link.transport.open_session()
        except (ssh.paramiko().SSHException, EOFError) as error:
            raise CommandError(f"cannot open a session at {link.address}: {error}") from None
        variables = {**spec.environment, **spec.previous}
        rejected = next(
            (name for name in variables if name not in refused and not _set(channel, name, variables[name])), None
        )
        if rejected is None:
            return channel
        if not link.transport.is_active():
            raise link.lost_error()
        if rejected in spec.environment:
            operation.log.error(_refusal(rejected))
            raise CommandError(f'could not set environment variable "{rejected}": the server refused it')
        operation.log.warning(_refusal(rejected))
        # paramiko closes the session after a refusal. The next session goes without the variable.
        refused.add(rejected)


def _refusal(name: str) -> str:
    return (
        f"Unable to set '{name}'. The SSH server accepts only variables that its AcceptEnv names. "
        "A Bash-like shell also takes them in front of the command: 'VAR=value command'."
    )


def _set(channel: Any, name: str, value: str) -> bool:
    """Sends an environment variable and waits for the server's answer. paramiko's own method doesn't wait."""
    try:
        channel._event_pending()
        channel.transport._send_user_message(_request(channel, "env", name, value, wants_reply=True))
        channel._wait_for_event()
    except (ssh.paramiko().SSHException, EOFError):
        return False
    return True


def _request(channel: Any, kind: str, *words: str, wants_reply: bool) -> Any:
    paramiko = ssh.paramiko()
    message = paramiko.Message()
    message.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string(kind)
    message.add_boolean(wants_reply)
    for word in words:
        message.add_string(word)
    return message


def _stop(link: Link, channel: Any) -> None:
    """Signals the command, then disconnects. A command without a terminal would survive a disconnection alone."""

    def disconnect() -> None:
        channel.status_event.wait(_GRACE)
        link.close()

    try:
        channel.transport._send_user_message(_request(channel, "signal", "TERM", wants_reply=False))
    except (ssh.paramiko().SSHException, OSError, EOFError):
        pass
    threading.Thread(target=disconnect, daemon=True).start()
