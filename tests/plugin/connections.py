"""Settings of SSH connections, and what a command over such a connection gives."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.plugin.client import REMOTE, Plugin, PluginError, secret

# Nothing listens on port 1: a test that must not connect fails if it tries.
UNREACHABLE = secret({"host": "127.0.0.1", "port": 1, "user": "root", "dialErrorLimit": 0, "perDialTimeout": 1})


def connection_to(port: int, **changes: Any) -> dict[str, Any]:
    """The settings of a connection to this computer, with a password and without retries."""
    settings = {"host": "127.0.0.1", "port": port, "user": "root", "password": "x", "dialErrorLimit": 0}
    return {**settings, "perDialTimeout": 5, **changes}


def run(plugin: Plugin, connection: dict[str, Any], command: str = "echo ran") -> str:
    """The command's standard output."""
    inputs = {"connection": secret(connection), "create": command}
    return plugin.create(REMOTE, inputs).state["stdout"]


def failure_of(plugin: Plugin, connection: dict[str, Any]) -> str:
    """The error message of a command that must fail over this connection."""
    with pytest.raises(PluginError) as failure:
        run(plugin, connection)
    return str(failure.value)


def retries(plugin: Plugin) -> list[str]:
    """The logged messages about retries."""
    return [message.text for message in plugin.log.messages if "failed: retrying" in message.text]


@contextlib.contextmanager
def fake_server(attempts: int, answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that is no SSH server. It passes this many connections to `answer`. Yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections: list[socket.socket] = []

        def accept() -> None:
            for _ in range(attempts):
                connections.append(listener.accept()[0])
                answer(connections[-1])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)
        for connection in connections:
            connection.close()
