"""Authenticates an SSH connection with a private key, a password or an agent."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from . import ssh
from .endpoint import Endpoint
from .operation import CommandError


def authenticate(transport: Any, target: Endpoint) -> None:
    """Tries the methods in the official plugin's order: private key, password, agent."""
    paramiko = ssh.paramiko()
    tried: list[str] = []
    for name, attempt in _methods(transport, target):
        tried.append(name)
        try:
            attempt()
        except paramiko.AuthenticationException:
            continue
        if transport.is_authenticated():
            return
    methods = ", ".join(tried) or "none: set privateKey, password or an agent"
    raise paramiko.AuthenticationException(
        f"unable to authenticate as {target.user} at {target.address}: tried {methods}"
    )


def _methods(transport: Any, target: Endpoint) -> list[tuple[str, Callable[[], object]]]:
    """The names and attempts of the methods that the endpoint's settings allow."""
    methods: list[tuple[str, Callable[[], object]]] = []
    if target.key is not None:
        methods.append(("private key", lambda: transport.auth_publickey(target.user, target.key)))
    if target.password is not None:
        password = target.password
        methods.append(("password", lambda: transport.auth_password(target.user, password, fallback=False)))
        # Servers with PAM may ask for the password in a dialogue.
        methods.append(("keyboard-interactive", lambda: _answer_prompts(transport, target.user, password)))
    if target.key is None and target.agent_socket:
        keys = _agent_keys(target.agent_socket)
        methods += [("agent key", lambda key=key: transport.auth_publickey(target.user, key)) for key in keys]
    return methods


def _answer_prompts(transport: Any, user: str, password: str) -> object:
    def answers(_title: str, _instructions: str, prompts: list[object]) -> list[str]:
        return [password for _ in prompts]

    return transport.auth_interactive(user, answers)


def _agent_keys(path: str) -> list[Any]:
    paramiko = ssh.paramiko()
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.connect(path)
    except OSError as error:
        raise CommandError(f"ssh: no agent at {path}: {error.strerror or error}") from None
    agent = paramiko.agent.AgentSSH()
    # paramiko's public class reads the path only from SSH_AUTH_SOCK.
    agent._connect(stream)
    return list(agent.get_keys())
