"""Sends health checks: to the app's own socket and through Nginx before the switch, and to the site after it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from host import candidate, health_advice, ports
from host.errors import ReleaseError
from host.health_check import EXCERPT_CHARACTERS, Answer, HealthCheck, excerpt
from host.layers import nginx
from host.paths import Paths

# Seconds between two checks until the first one succeeds. They are few, because a person waits for the result.
INTERVAL_SECONDS = 0.25
# Of a release that has answered before, a check that takes longer has failed.
ANSWER_SECONDS = 5.0
# This many failures in a row count: a single one may be a coincidence.
FAILED_CHECKS = 2
# Limit for the additional look at the front page.
FRONT_PAGE_SECONDS = 2.0
EXCERPT_BYTES = 4096

# Some apps fail at a request without headers that all browsers send. X-Real-IP is for checks that don't pass Nginx,
# which sets it on visitors' requests.
HEADERS = {"User-Agent": "Gantry health check", "Accept": "*/*", "X-Real-IP": "127.0.0.1"}

Connect = Callable[[float], http.client.HTTPConnection]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def check_socket(path: Path, check: HealthCheck, subject: str = "the new release") -> Answer:
    """Check the app on its own socket until it is healthy; returns the healthy answer. ``subject`` is for the error.

    Raises ReleaseError if it isn't healthy within ``check.timeout`` seconds, or if visitors couldn't reach the site.
    """
    answer = _wait(lambda seconds: UnixConnection(path, seconds), check, subject)
    _require_reachable(check, answer)
    return answer


def check_candidate(paths: Paths, deployment: str, check: HealthCheck) -> Answer:
    """Check a deployment that isn't switched to through Nginx, until it is healthy; returns the healthy answer.

    Raises ReleaseError if it isn't healthy within ``check.timeout`` seconds, if Nginx rejects its answers, or if
    visitors couldn't reach the site.
    """
    with candidate.served(paths, deployment) as nginx_errors:
        answer = _wait(_candidate, check, "the new release behind Nginx", nginx_errors=nginx_errors)
        _require_reachable(check, answer)
        if check.path != "/":
            # An app may redirect all of its pages to https, except the one of the health check.
            front_page = replace(check, path="/")
            _require_reachable(front_page, _get(_candidate(FRONT_PAGE_SECONDS), front_page))
    return answer


def check_nginx(check: HealthCheck) -> Answer:
    """Check the site through Nginx, the way of a visitor's request; returns the healthy answer.

    Raises ReleaseError after ``FAILED_CHECKS`` failures.
    """
    failures = 0
    while not check.is_healthy(answer := site_answer(check, ANSWER_SECONDS)):
        failures += 1
        if failures == FAILED_CHECKS:
            raise ReleaseError(health_advice.reason("the site", check, answer), health_advice.advice(check, answer))
        time.sleep(check.interval or INTERVAL_SECONDS)
    return answer


def site_answer(check: HealthCheck, timeout: float) -> Answer:
    """The site's answer to a single check, within ``timeout`` seconds.

    Without Nginx there is no answer, and the app isn't the cause. So this first waits for an Nginx that systemd
    restarts, or starts it. Raises NginxError if that fails.
    """
    check = replace(check, timeout=timeout)
    answer = answer_of("127.0.0.1", check)
    if answer.fault == "no Nginx":
        nginx.ensure(Paths())
        answer = answer_of("127.0.0.1", check)
    return answer


def answer_of(address: str, check: HealthCheck) -> Answer:
    """The answer of the Nginx at this address to a single check, within ``check.timeout`` seconds."""
    return _get(http.client.HTTPConnection(address, 80, timeout=check.timeout), check)


def socket_answer(path: Path, check: HealthCheck) -> Answer:
    """The app's own answer to a single check, within ``check.timeout`` seconds."""
    return _get(UnixConnection(path, check.timeout), check)


def _candidate(timeout: float) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", ports.CANDIDATE_PORT, timeout=timeout)


def _require_reachable(check: HealthCheck, answer: Answer) -> None:
    if sentence := health_advice.unreachable(check, answer):
        raise ReleaseError(f"GET {check.path} answered {answer} (Host: {check.host})", sentence)


def _wait(
    connect: Connect, check: HealthCheck, subject: str, *, nginx_errors: Callable[[], list[str]] = list
) -> Answer:
    """Check until the answer is healthy. Ends early if ``nginx_errors``, Nginx's own, show repeated failures."""
    deadline, pause = time.monotonic() + check.timeout, check.interval or INTERVAL_SECONDS
    last: Answer | None = None
    while True:
        # An app that hangs must not delay the release beyond the deadline.
        answer = _get(connect(max(0.1, deadline - time.monotonic())), check)
        if check.is_healthy(answer):
            return answer
        # The last attempt may be cut short by the deadline. An earlier response says more.
        last = answer if answer.status or last is None or last.status is None else last
        is_late, errors = time.monotonic() + pause >= deadline, nginx_errors()
        if errors and (is_late or len(errors) >= FAILED_CHECKS):
            raise ReleaseError(f"GET {check.path} fails behind Nginx: {errors[-1]}", health_advice.rejected(errors[-1]))
        if is_late:
            raise ReleaseError(health_advice.reason(subject, check, last), health_advice.advice(check, last))
        time.sleep(pause)


def _get(connection: http.client.HTTPConnection, check: HealthCheck) -> Answer:
    seconds = connection.timeout or check.timeout
    try:
        connection.connect()
        own_socket = connection.sock
        headers = {**HEADERS, "Host": check.host, "X-Forwarded-Proto": check.scheme}
        with _limited(own_socket, seconds):
            connection.request("GET", check.path, headers=headers)
            response = connection.getresponse()
        return _answer(response, own_socket, seconds)
    except TimeoutError:
        return Answer(None, f"nothing within {seconds:.1f} s", fault="silent")
    except (ConnectionRefusedError, FileNotFoundError):
        is_app = isinstance(connection, UnixConnection)
        return Answer(None, "nothing: no process listens", fault="refused" if is_app else "no Nginx")
    except (ConnectionError, http.client.IncompleteRead):
        return Answer(None, "nothing: the connection was closed", fault="closed")
    except http.client.HTTPException as error:
        return Answer(None, f"something that isn't HTTP: {str(error)[:EXCERPT_CHARACTERS]!r}", fault="no HTTP")
    except OSError as error:
        return Answer(None, repr(error))
    finally:
        connection.close()


@contextmanager
def _limited(connection: socket.socket, seconds: float) -> Generator[None]:
    """Raises TimeoutError if the block takes longer: the limit of a socket begins again with each byte that comes."""
    expired = threading.Event()

    def end() -> None:
        expired.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (ConnectionError, http.client.HTTPException):
        if expired.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
    # The end of a connection looks like the end of the headers.
    if expired.is_set():
        raise TimeoutError


def _answer(response: http.client.HTTPResponse, connection: socket.socket, seconds: float) -> Answer:
    text = ""
    if response.status >= 400:
        # A text that doesn't come or is cut off adds nothing to the status.
        with suppress(OSError, http.client.HTTPException), _limited(connection, seconds):
            body = response.read(EXCERPT_BYTES).decode(errors="replace")
            text = excerpt(response.headers.get("Content-Type", ""), body)
    return Answer(
        response.status,
        text=text,
        location=response.headers.get("Location", ""),
        sets_cookie="Set-Cookie" in response.headers,
    )
