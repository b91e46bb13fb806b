"""Opens a checked and authenticated SSH connection, with retries, directly or through a bastion."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, TypeVar, cast

from . import ssh
from .authentication import authenticate
from .endpoint import Endpoint
from .host_key import HostKeyMismatch, parse_host_key
from .link import Link
from .operation import CommandError, Operation
from .values import Properties

T = TypeVar("T")

# Seconds between two attempts, as in the official plugin. Ten attempts take 11 seconds.
_FIRST_PAUSE, _GROWTH, _LONGEST_PAUSE = 0.1, 1.5, 5.0

# `perDialTimeout: 0` means no limit, but paramiko needs a number: a day.
_NO_LIMIT = 86400.0


class DialError(Exception):
    """An attempt failed, and another one may succeed."""


def dial(operation: Operation, connection: Properties) -> Link:
    """Connects with the settings of a resource. Raises a CommandError when all attempts have failed."""
    target = _endpoint(connection)
    proxy = connection.get("proxy")
    if not isinstance(proxy, dict):
        return _retry(operation, "Dial", target=target, attempt=lambda: _connect(operation, target))
    try:
        bastion = _endpoint(proxy)
        link = _retry(operation, "Dial proxy", target=bastion, attempt=lambda: _connect(operation, bastion))
        try:
            return _retry(
                operation, "Dial from proxy", target=target, attempt=lambda: _connect_through(operation, link, target)
            )
        except BaseException:
            link.close()
            raise
    except CommandError as error:
        raise CommandError(f"proxy: {error}") from None


def _endpoint(connection: Properties) -> Endpoint:
    """The settings of a connection or a proxy. Keys are read here, so that a bad one fails before any attempt."""
    get = cast("dict[str, Any]", connection).get
    private_key, password, host_key = get("privateKey"), get("privateKeyPassword"), get("hostKey")
    return Endpoint(
        host=get("host", ""),
        port=int(get("port", 22)),
        user=get("user", "root"),
        password=get("password"),
        key=ssh.private_key(private_key, password) if private_key else None,
        agent_socket=get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK"),
        host_key=parse_host_key(host_key) if host_key else None,
        dial_error_limit=int(get("dialErrorLimit", 10)),
        timeout=float(get("perDialTimeout", 15)) or None,
    )


def _retry(operation: Operation, activity: str, *, target: Endpoint, attempt: Callable[[], T]) -> T:
    pause, failures = _FIRST_PAUSE, 0
    while True:
        operation.raise_if_cancelled()
        try:
            return attempt()
        except DialError as error:
            operation.raise_if_cancelled()
            if 0 <= target.dial_error_limit <= failures:
                raise CommandError(f"after {failures} failed attempts: {error}") from None
        failures += 1
        limit = target.dial_error_limit if target.dial_error_limit >= 0 else "inf"
        operation.log.status(f"{activity} {failures}/{limit} failed: retrying")
        operation.pause(pause)
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def _connect(operation: Operation, target: Endpoint) -> Link:
    try:
        stream = socket.create_connection((target.host, target.port), target.timeout)
    except OSError as error:
        raise DialError(f"dial tcp {target.address}: {error.strerror or error}") from None
    return _handshake(operation, stream, target=target, bastion=None)


def _connect_through(operation: Operation, bastion: Link, target: Endpoint) -> Link:
    try:
        stream = bastion.transport.open_channel(
            "direct-tcpip", (target.host, target.port), ("127.0.0.1", 0), timeout=target.timeout
        )
    except (ssh.paramiko().SSHException, EOFError) as error:
        raise DialError(f"dial tcp {target.address}: {error}") from None
    return _handshake(operation, stream, target=target, bastion=bastion)


def _handshake(operation: Operation, stream: Any, *, target: Endpoint, bastion: Link | None) -> Link:
    paramiko = ssh.paramiko()
    transport: Any = None
    try:
        with operation.stopping(stream.close):
            transport = paramiko.Transport(stream)
            _configure(transport, target)
            transport.start_client()
            if target.host_key is not None:
                target.host_key.verify(transport.get_remote_server_key())
            authenticate(transport, target)
    except (paramiko.SSHException, HostKeyMismatch, EOFError, OSError) as error:
        (transport or stream).close()
        raise DialError(f"ssh: handshake failed: {_error_text(error, target)}") from None
    except BaseException:
        (transport or stream).close()
        raise
    return Link(transport, target.address, bastion)


def _configure(transport: Any, target: Endpoint) -> None:
    for limit in ("banner_timeout", "handshake_timeout", "auth_timeout", "channel_timeout"):
        setattr(transport, limit, target.timeout or _NO_LIMIT)
    if target.host_key is not None:
        # Only the pinned type: a server with several keys could show another one.
        transport.get_security_options().key_types = target.host_key.algorithms


def _error_text(error: Exception, target: Endpoint) -> str:
    if isinstance(error, ssh.paramiko().ssh_exception.IncompatiblePeer) and target.host_key is not None:
        return f"host key mismatch or no common algorithm: expected {target.host_key.fingerprint}: {error}"
    return str(error) or f"{type(error).__name__} from {target.address}"
