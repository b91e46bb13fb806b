"""Asking the app whether it is well: on its own socket before the switch, through Nginx after it."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from host.errors import ReleaseError

GOOD = frozenset(map(str, range(200, 400)))


@dataclass(frozen=True)
class Health:
    """What to ask and how long: ``path`` with ``host`` as Host must answer 2xx or 3xx within ``timeout`` seconds."""

    path: str
    host: str
    timeout: float = 30.0


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def check_socket(path: Path, health: Health) -> str:
    """Ask the app on its own socket until it is well; raises ReleaseError when time is up."""
    return _wait(lambda: UnixConnection(path, health.timeout), health, "the new release")


def check_nginx(health: Health, port: int = 80) -> str:
    """Ask through Nginx, as a visitor would."""
    return _wait(lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=health.timeout), health, "the site")


def answers(health: Health, port: int = 80) -> bool:
    """Whether the site is well now, asked once."""
    return _ask(http.client.HTTPConnection("127.0.0.1", port, timeout=health.timeout), health) in GOOD


def _wait(connect: Callable[[], http.client.HTTPConnection], health: Health, who: str) -> str:
    deadline = time.monotonic() + health.timeout
    while True:
        answer = _ask(connect(), health)
        if answer in GOOD:
            return answer
        if time.monotonic() + 0.25 >= deadline:
            raise ReleaseError(f"{who} isn't healthy: GET {health.path} answered {answer}, not 2xx or 3xx")
        time.sleep(0.25)


def _ask(connection: http.client.HTTPConnection, health: Health) -> str:
    """The status as text, or what went wrong."""
    try:
        connection.request("GET", health.path, headers={"Host": health.host, "X-Forwarded-Proto": "http"})
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()
