"""A small SSH server with passwords. The tests can't set passwords for the system's sshd."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from paramiko.server import InteractiveQuery

from tests.plugin.sshd import free_port

PASSWORD = "correct horse"


class _Account(paramiko.ServerInterface):
    def __init__(self, method: str, public_keys: list[str]) -> None:
        self.method = method
        self.public_keys = public_keys

    def get_allowed_auths(self, username: str) -> str:
        return self.method

    def check_auth_password(self, username: str, password: str) -> int:
        return self._answer(self.method == "password" and password == PASSWORD)

    def check_auth_interactive(self, username: str, submethods: str) -> Any:
        if self.method != "keyboard-interactive":
            return AUTH_FAILED
        return InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return self._answer(list(responses) == [PASSWORD])

    def check_auth_publickey(self, username: str, key: Any) -> int:
        return self._answer(f"{key.get_name()} {key.get_base64()}" in self.public_keys)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        def run() -> None:
            # paramiko answers the request after this method has returned. The output must come later.
            time.sleep(0.1)
            channel.sendall(b"ran " + command + b"\n")
            channel.send_exit_status(0)
            channel.close()

        threading.Thread(target=run, daemon=True).start()
        return True

    @staticmethod
    def _answer(is_right: bool) -> int:
        return AUTH_SUCCESSFUL if is_right else AUTH_FAILED


@contextlib.contextmanager
def running_server(method: str, public_keys: list[str] | None = None) -> Iterator[int]:
    """Yields the port of a server with one authentication method. It answers each command with "ran" and its text."""
    host_key = paramiko.RSAKey.generate(2048)
    listener = socket.create_server(("127.0.0.1", free_port()))
    transports: list[Any] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                stream, _ = listener.accept()
                transport = paramiko.Transport(stream)
                transport.add_server_key(host_key)
                transports.append(transport)
                with contextlib.suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=_Account(method, public_keys or []))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for transport in transports:
            transport.close()
