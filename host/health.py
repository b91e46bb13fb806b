"""Health checks: on the app's own socket before the switch, and through Nginx after it."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from host.errors import ReleaseError

# If no status is configured, any answer except an error is healthy.
HEALTHY_STATUSES = frozenset(map(str, range(200, 400)))
# Seconds between two checks until the first one succeeds. They are few, because a person waits for the result.
INTERVAL_SECONDS = 0.25


@dataclass(frozen=True)
class HealthCheck:
    """A GET of ``path`` with ``host`` as its Host header, which must be answered within ``timeout`` seconds.

    ``status`` is the status of a healthy app; None means any 2xx or 3xx. ``interval`` is the number of seconds between
    two checks; None lets the caller choose.
    """

    path: str
    host: str
    timeout: float = 30.0
    status: int | None = None
    interval: float | None = None

    @property
    def expected(self) -> str:
        return str(self.status) if self.status else "2xx or 3xx"

    def is_healthy(self, answer: str) -> bool:
        return answer == str(self.status) if self.status else answer in HEALTHY_STATUSES


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def check_socket(path: Path, check: HealthCheck) -> str:
    """Check the app on its own socket until it is healthy; returns the status.

    Raises ReleaseError if it isn't healthy within ``check.timeout`` seconds.
    """
    return _wait(lambda seconds: UnixConnection(path, seconds), check, "the new release")


def check_nginx(check: HealthCheck) -> str:
    """Check the site through Nginx, the way of a visitor's request, until it is healthy; returns the status.

    Raises ReleaseError if it isn't healthy within ``check.timeout`` seconds.
    """
    return _wait(_nginx, check, "the site")


def site_status(check: HealthCheck, timeout: float) -> str:
    """The site's answer to a single check: its status, or a description of the failure."""
    return _get(_nginx(timeout), check)


def _nginx(timeout: float) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", 80, timeout=timeout)


def _wait(connect: Callable[[float], http.client.HTTPConnection], check: HealthCheck, subject: str) -> str:
    deadline, pause = time.monotonic() + check.timeout, check.interval or INTERVAL_SECONDS
    while True:
        # An app that hangs must not delay the release beyond the deadline.
        answer = _get(connect(max(0.1, deadline - time.monotonic())), check)
        if check.is_healthy(answer):
            return answer
        if time.monotonic() + pause >= deadline:
            raise ReleaseError(f"{subject} isn't healthy: GET {check.path} answered {answer}, not {check.expected}")
        time.sleep(pause)


def _get(connection: http.client.HTTPConnection, check: HealthCheck) -> str:
    """The status as text, or a description of the failure."""
    try:
        connection.request("GET", check.path, headers={"Host": check.host, "X-Forwarded-Proto": "http"})
        return str(connection.getresponse().status)
    except TimeoutError:
        return f"nothing within {connection.timeout or 0:.1f} s"
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()
