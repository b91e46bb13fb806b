"""A checked and authenticated SSH connection, dialled with retries, perhaps through a bastion."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from . import hostkey, ssh
from .link import Link
from .operation import CommandError, Operation
from .values import Properties

T = TypeVar("T")

# The engine's own retries: 0.1 s, growing by half, up to 5 s; ten of them take 11 s.
_FIRST_PAUSE, _GROWTH, _LONGEST_PAUSE = 0.1, 1.5, 5.0

# What `perDialTimeout: 0` means, for a library that wants a number: a day.
_NO_LIMIT = 86400.0


class DialError(Exception):
    """One attempt failed; another may not."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    host: str
    port: int
    user: str
    password: str | None
    key: Any
    agent_socket: str | None
    host_key: hostkey.HostKey | None
    dial_error_limit: int
    timeout: float | None

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def endpoint(connection: Properties) -> Endpoint:
    """The settings of a connection or a proxy, whose keys are read here: a bad one is not worth a dial."""
    get = cast("dict[str, Any]", connection).get
    private_key, password, host_key = get("privateKey"), get("privateKeyPassword"), get("hostKey")
    return Endpoint(
        host=get("host", ""),
        port=int(get("port", 22)),
        user=get("user", "root"),
        password=get("password"),
        key=ssh.private_key(private_key, password) if private_key else None,
        agent_socket=get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK"),
        host_key=hostkey.parse(host_key) if host_key else None,
        dial_error_limit=int(get("dialErrorLimit", 10)),
        timeout=float(get("perDialTimeout", 15)) or None,
    )


def dial(operation: Operation, connection: Properties) -> Link:
    target = endpoint(connection)
    proxy = connection.get("proxy")
    if not isinstance(proxy, dict):
        return _retry(operation, "Dial", target, lambda: _connect(operation, target))
    try:
        gate = endpoint(proxy)
        bastion = _retry(operation, "Dial proxy", gate, lambda: _connect(operation, gate))
        try:
            return _retry(operation, "Dial from proxy", target, lambda: _connect_through(operation, bastion, target))
        except BaseException:
            bastion.close()
            raise
    except CommandError as error:
        raise CommandError(f"proxy: {error}") from None


def _retry(operation: Operation, what: str, target: Endpoint, attempt: Callable[[], T]) -> T:
    pause, failed = _FIRST_PAUSE, 0
    while True:
        operation.raise_if_cancelled()
        try:
            return attempt()
        except DialError as error:
            operation.raise_if_cancelled()
            if 0 <= target.dial_error_limit <= failed:
                raise CommandError(f"after {failed} failed attempts: {error}") from None
        failed += 1
        limit = target.dial_error_limit if target.dial_error_limit >= 0 else "inf"
        operation.log.status(f"{what} {failed}/{limit} failed: retrying")
        operation.pause(pause)
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def _connect(operation: Operation, target: Endpoint) -> Link:
    try:
        stream = socket.create_connection((target.host, target.port), target.timeout)
    except OSError as error:
        raise DialError(f"dial tcp {target.address}: {error.strerror or error}") from None
    return _handshake(operation, stream, target, None)


def _connect_through(operation: Operation, bastion: Link, target: Endpoint) -> Link:
    try:
        stream = bastion.transport.open_channel(
            "direct-tcpip", (target.host, target.port), ("127.0.0.1", 0), timeout=target.timeout
        )
    except (ssh.paramiko().SSHException, EOFError) as error:
        raise DialError(f"dial tcp {target.address}: {error}") from None
    return _handshake(operation, stream, target, bastion)


def _handshake(operation: Operation, stream: Any, target: Endpoint, bastion: Link | None) -> Link:
    library = ssh.paramiko()
    transport: Any = None
    try:
        with operation.stopping(stream.close):
            transport = library.Transport(stream)
            _prepare(transport, target)
            transport.start_client()
            if target.host_key is not None:
                target.host_key.verify(transport.get_remote_server_key())
            _authenticate(transport, target)
    except (library.SSHException, hostkey.HostKeyMismatch, EOFError, OSError) as error:
        (transport or stream).close()
        raise DialError(f"ssh: handshake failed: {_told(error, target)}") from None
    except BaseException:
        (transport or stream).close()
        raise
    return Link(transport, target.address, bastion)


def _prepare(transport: Any, target: Endpoint) -> None:
    for limit in ("banner_timeout", "handshake_timeout", "auth_timeout", "channel_timeout"):
        setattr(transport, limit, target.timeout or _NO_LIMIT)
    if target.host_key is not None:
        # Only the pinned type: a server with several keys would otherwise choose which one it shows.
        transport.get_security_options().key_types = target.host_key.algorithms


def _told(error: Exception, target: Endpoint) -> str:
    if isinstance(error, ssh.paramiko().ssh_exception.IncompatiblePeer) and target.host_key is not None:
        return f"host key mismatch or no common algorithm: expected {target.host_key.fingerprint}: {error}"
    return str(error) or f"{type(error).__name__} from {target.address}"


def _authenticate(transport: Any, target: Endpoint) -> None:
    """The ways that upstream tries, in its order: key, password, agent; the first of a kind wins."""
    library = ssh.paramiko()
    tried: list[str] = []
    for name, attempt in _ways(transport, target):
        tried.append(name)
        try:
            attempt()
        except library.AuthenticationException:
            continue
        if transport.is_authenticated():
            return
    methods = ", ".join(tried) or "none: give privateKey, password or an agent"
    raise library.AuthenticationException(
        f"unable to authenticate as {target.user} at {target.address}: tried {methods}"
    )


def _ways(transport: Any, target: Endpoint) -> list[tuple[str, Callable[[], object]]]:
    ways: list[tuple[str, Callable[[], object]]] = []
    if target.key is not None:
        ways.append(("private key", lambda: transport.auth_publickey(target.user, target.key)))
    if target.password is not None:
        password = target.password
        # The second is for servers that ask in a dialogue, as PAM does.
        ways.append(("password", lambda: transport.auth_password(target.user, password, fallback=False)))
        ways.append(("keyboard-interactive", lambda: _answer(transport, target.user, password)))
    if target.key is None and target.agent_socket:
        keys = _agent_keys(target.agent_socket)
        ways += [("agent key", lambda key=key: transport.auth_publickey(target.user, key)) for key in keys]
    return ways


def _answer(transport: Any, user: str, password: str) -> object:
    def answers(_title: str, _instructions: str, prompts: list[object]) -> list[str]:
        return [password for _ in prompts]

    return transport.auth_interactive(user, answers)


def _agent_keys(path: str) -> list[Any]:
    library = ssh.paramiko()
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.connect(path)
    except OSError as error:
        raise CommandError(f"ssh: no agent at {path}: {error.strerror or error}") from None
    agent = library.agent.AgentSSH()
    # The public way in takes the path from SSH_AUTH_SOCK alone.
    agent._connect(stream)
    return list(agent.get_keys())
