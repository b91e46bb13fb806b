"""Asking the app whether it is well: on its own socket before the switch, through Nginx after it."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from host.errors import ReleaseError

# Where no status is given: any answer but an error.
GOOD = frozenset(map(str, range(200, 400)))
# Until it is well for the first time, when somebody waits.
INTERVAL_SECONDS = 0.25


@dataclass(frozen=True)
class Health:
    """What to ask and for how long: ``path`` with ``host`` as Host must answer ``status`` within ``timeout`` seconds.

    ``status`` None stands for any 2xx or 3xx, ``interval`` None for what suits: seconds between two questions.
    """

    path: str
    host: str
    timeout: float = 30.0
    status: int | None = None
    interval: float | None = None

    @property
    def expected(self) -> str:
        return str(self.status) if self.status else "2xx or 3xx"

    def good(self, answer: str) -> bool:
        return answer == str(self.status) if self.status else answer in GOOD


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
    return _wait(lambda left: UnixConnection(path, left), health, "the new release")


def check_nginx(health: Health) -> str:
    """Ask through Nginx, as a visitor would."""
    return _wait(_nginx, health, "the site")


def answer(health: Health, timeout: float) -> str:
    """What the site answers now, asked once: a status, or what went wrong."""
    return _ask(_nginx(timeout), health)


def _nginx(timeout: float) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", 80, timeout=timeout)


def _wait(connect: Callable[[float], http.client.HTTPConnection], health: Health, who: str) -> str:
    deadline, pause = time.monotonic() + health.timeout, health.interval or INTERVAL_SECONDS
    while True:
        # An app that hangs must not hold the release for longer than was asked for.
        said = _ask(connect(max(0.1, deadline - time.monotonic())), health)
        if health.good(said):
            return said
        if time.monotonic() + pause >= deadline:
            raise ReleaseError(f"{who} isn't healthy: GET {health.path} answered {said}, not {health.expected}")
        time.sleep(pause)


def _ask(connection: http.client.HTTPConnection, health: Health) -> str:
    """The status as text, or what went wrong."""
    try:
        connection.request("GET", health.path, headers={"Host": health.host, "X-Forwarded-Proto": "http"})
        return str(connection.getresponse().status)
    except TimeoutError:
        return f"nothing within {connection.timeout or 0:.1f} s"
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()
