"""Health checks against servers that answer, fail, hang or close the connection."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from host import health, ports
from host.errors import ReleaseError
from host.health_check import HealthCheck
from host.paths import Paths

CHECK = HealthCheck("/healthz", "rocket.test", timeout=1, interval=0.1)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nno such one"
TO_HTTPS = b"HTTP/1.1 301 Moved\r\nLocation: https://rocket.test/\r\nContent-Length: 0\r\n\r\n"
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"

# Makes the response from the request's text, or None to hang.
Respond = Callable[[str], bytes | None]


@contextmanager
def serving(server: socket.socket, respond: Respond) -> Iterator[list[str]]:
    """Answer the connections of a listening socket; yields the requests."""
    requests: list[str] = []
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            request = connection.recv(65536).decode()
            requests.append(request)
            response = respond(request)
            if response is None:
                held.append(connection)
                continue
            connection.sendall(response)
            connection.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield requests
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for connection in held:
            connection.close()


@pytest.fixture
def app(tmp_path: Path) -> tuple[Path, socket.socket]:
    path, server = tmp_path / "app.sock", socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return path, server


@pytest.fixture
def nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Paths, socket.socket]:
    """The paths of a server, and a socket in the place of Nginx's for candidates."""
    server = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(ports, "CANDIDATE_PORT", server.getsockname()[1])
    paths = Paths(tmp_path)
    paths.candidate_errors.parent.mkdir(parents=True)
    paths.candidate_errors.write_text("2025/01/01 00:00:00 [error] 1#1: *1 an error of an earlier release, client: a\n")
    return paths, server


def rejection(paths: Paths, request: str) -> bytes:
    """Log an error and answer as Nginx does for a response that it rejects."""
    with paths.candidate_errors.open("a") as log:
        log.write("2025/01/01 00:00:00 [error] 7#7: *2 upstream sent too big header while reading, client: 127.0.0.1\n")
    return BAD_GATEWAY


def test_the_request_has_the_path_the_host_and_the_scheme(app: tuple[Path, socket.socket]):
    path, server = app
    with serving(server, lambda _: OK) as requests:
        assert str(health.check_socket(path, replace(CHECK, scheme="https"))) == "200"
    assert requests[0].startswith("GET /healthz HTTP/1.1\r\n")
    assert "Host: rocket.test\r\n" in requests[0]
    assert "X-Forwarded-Proto: https\r\n" in requests[0]
    assert "User-Agent: Gantry health check\r\n" in requests[0]
    assert "Accept: */*\r\n" in requests[0]


def test_an_app_that_becomes_healthy_in_time_passes(app: tuple[Path, socket.socket]):
    path, server = app
    responses = iter([NOT_FOUND, NOT_FOUND, OK])
    with serving(server, lambda _: next(responses)):
        assert health.check_socket(path, CHECK).status == 200


def test_the_error_has_the_answer_and_the_settings(app: tuple[Path, socket.socket]):
    path, server = app
    with serving(server, lambda _: NOT_FOUND), pytest.raises(ReleaseError) as error:
        health.check_socket(path, CHECK)
    assert error.value.message == (
        "the new release isn't healthy: GET /healthz answered 404 (no such one), not 2xx or 3xx (Host: rocket.test)"
    )
    assert "`pulumi config set healthPath /healthz`" in error.value.advice


def test_an_earlier_response_says_more_than_a_last_attempt_that_hangs(app: tuple[Path, socket.socket]):
    path, server = app
    responses = iter([NOT_FOUND, None])
    with serving(server, lambda _: next(responses)), pytest.raises(ReleaseError, match="answered 404"):
        health.check_socket(path, CHECK)


@pytest.mark.parametrize(
    ("response", "text"),
    [(None, "nothing within 1.0 s"), (b"", "closed the connection"), (b"\x16\x03\x01\r\n\r\n", "in HTTP")],
)
def test_an_app_that_gives_no_response_gets_its_own_sentence(
    app: tuple[Path, socket.socket], response: bytes | None, text: str
):
    path, server = app
    with serving(server, lambda _: response), pytest.raises(ReleaseError, match=text):
        health.check_socket(path, CHECK)


@pytest.mark.parametrize(
    ("start", "result"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", ("silent", None)),
        (b"HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n\r\n", ("", 500)),
    ],
)
def test_an_answer_that_never_ends_is_no_answer_after_the_limit(
    app: tuple[Path, socket.socket], start: bytes, result: tuple[str, int | None]
):
    path, server = app

    def drip() -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(start)
            while True:
                connection.sendall(b"x")
                time.sleep(0.1)

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    began = time.monotonic()
    answer = health.socket_answer(path, replace(CHECK, timeout=0.5))
    assert (answer.fault, answer.status) == result
    assert time.monotonic() - began < 2
    thread.join()
    server.close()


def test_an_app_without_a_socket_has_ended(tmp_path: Path):
    with pytest.raises(ReleaseError, match="doesn't listen any more"):
        health.check_socket(tmp_path / "app.sock", replace(CHECK, timeout=0.2))


def test_a_redirect_to_https_fails_at_once_on_a_site_without_it(app: tuple[Path, socket.socket]):
    path, server = app
    check, start = replace(CHECK, path="/", timeout=30), time.monotonic()
    with serving(server, lambda _: TO_HTTPS), pytest.raises(ReleaseError, match="SECURE_SSL_REDIRECT"):
        health.check_socket(path, check)
    assert time.monotonic() - start < 5


def test_the_candidate_is_linked_only_while_it_is_checked(nginx: tuple[Paths, socket.socket]):
    paths, server = nginx
    targets: list[Path] = []

    def respond(_: str) -> bytes:
        targets.append(paths.candidate_socket.readlink())
        return OK

    with serving(server, respond) as requests:
        health.check_candidate(paths, "a-1", CHECK)
    assert targets == [paths.deployment_socket("a-1")] * 2
    assert [request.split()[1] for request in requests] == ["/healthz", "/"]
    assert not paths.candidate_socket.is_symlink()


def test_the_link_of_a_killed_run_is_replaced(nginx: tuple[Paths, socket.socket]):
    paths, server = nginx
    paths.candidate_socket.parent.mkdir(parents=True)
    paths.candidate_socket.symlink_to(paths.deployment_socket("killed"))
    with serving(server, lambda _: OK):
        health.check_candidate(paths, "a-1", CHECK)
    assert not paths.candidate_socket.is_symlink()


def test_a_response_that_nginx_rejects_fails_after_two_attempts_with_nginxs_words(nginx: tuple[Paths, socket.socket]):
    paths, server = nginx
    with (
        serving(server, lambda request: rejection(paths, request)) as requests,
        pytest.raises(ReleaseError) as error,
    ):
        health.check_candidate(paths, "a-1", replace(CHECK, timeout=30))
    assert error.value.message == "GET /healthz fails behind Nginx: upstream sent too big header while reading"
    assert "32 KB" in error.value.advice
    assert len(requests) == 2
    assert not paths.candidate_socket.is_symlink()


def test_one_failure_behind_nginx_is_accepted(nginx: tuple[Paths, socket.socket]):
    paths, server = nginx
    responses = iter([lambda request: rejection(paths, request), lambda _: OK, lambda _: OK])
    with serving(server, lambda request: next(responses)(request)):
        assert health.check_candidate(paths, "a-1", CHECK).status == 200


def test_a_front_page_that_redirects_to_https_is_found_though_the_health_check_is_exempt(
    nginx: tuple[Paths, socket.socket],
):
    paths, server = nginx
    with (
        serving(server, lambda request: OK if request.startswith("GET /healthz") else TO_HTTPS),
        pytest.raises(ReleaseError, match=r"(?s)GET / answered 301.*SECURE_SSL_REDIRECT"),
    ):
        health.check_candidate(paths, "a-1", CHECK)


def test_a_front_page_that_fails_otherwise_is_no_fault(nginx: tuple[Paths, socket.socket]):
    paths, server = nginx
    with serving(server, lambda request: OK if request.startswith("GET /healthz") else NOT_FOUND):
        health.check_candidate(paths, "a-1", CHECK)


def test_errors_of_a_log_that_was_rotated_meanwhile_are_found(nginx: tuple[Paths, socket.socket]):
    paths, server = nginx
    paths.candidate_errors.write_text("a long line of an earlier release\n" * 100)

    def respond(request: str) -> bytes:
        if paths.candidate_errors.stat().st_size > 1000:
            paths.candidate_errors.write_text("")
        return rejection(paths, request)

    with serving(server, respond), pytest.raises(ReleaseError, match="too big header"):
        health.check_candidate(paths, "a-1", CHECK)


def test_without_nginx_the_error_says_so(nginx: tuple[Paths, socket.socket]):
    paths, server = nginx
    server.close()
    with pytest.raises(ReleaseError, match="systemctl status nginx"):
        health.check_candidate(paths, "a-1", replace(CHECK, timeout=0.2))


def test_after_the_switch_two_bad_answers_fail_and_one_doesnt(monkeypatch: pytest.MonkeyPatch):
    statuses = iter([500, 200, 500, 500])
    monkeypatch.setattr(health, "site_answer", lambda *_: health.Answer(next(statuses)))
    assert health.check_nginx(CHECK).status == 200
    start = time.monotonic()
    with pytest.raises(ReleaseError, match="the site isn't healthy: GET /healthz answered 500"):
        health.check_nginx(replace(CHECK, timeout=30))
    assert time.monotonic() - start < 5
