"""Health checks on a real server: the sentences of failed ones, the check behind Nginx, and the sizes of headers."""

from __future__ import annotations

import http.client
from contextlib import closing

import pytest

from tests.machine.page_app import HEALTHZ, PageAppServer, app

pytestmark = pytest.mark.machine
SERVER_CLASS = PageAppServer

# Paths that end with the number of bytes in a response's headers, and one that counts those of a request.
HEADERS = (
    HEALTHZ
    + """
@app.route("/headers/<int:size>")
def headers(size):
    return "ok", 200, {f"X-Large-{number}": "a" * (size // 8) for number in range(8)}

@app.route("/cookie/<int:size>")
def cookie(size):
    return "ok", 200, {"Set-Cookie": "a=" + "b" * size}

@app.route("/redirect/<int:size>")
def redirect(size):
    return "", 302, {"Location": "/" + "a" * size}

@app.route("/echo")
def echo():
    from flask import request
    return str(sum(len(name) + len(value) for name, value in request.headers))
"""
)
ONLY_THE_HEALTH_CHECK_IS_EXEMPT = """
@app.before_request
def to_https():
    import flask
    if flask.request.path != "/healthz" and not flask.request.is_secure:
        return flask.redirect(flask.request.url.replace("http://", "https://"), 301)
"""
FAILS_WHEN_IT_SERVES = HEALTHZ.replace(
    "return", "if os.readlink('/var/lib/gantry/web.sock') == os.environ['GANTRY_SOCKET']:\n        1 / 0\n    return"
)
LARGE = HEALTHZ.replace('return "ok"', 'return "ok", 200, {"X-Large": "a" * 40000}')


def healthz(answer: str) -> str:
    return HEALTHZ.replace('return "ok"', f"return {answer}")


@pytest.mark.parametrize(
    ("files", "changes", "messages"),
    [
        pytest.param(
            app("bad"),
            {"health_path": "/none"},
            ["GET /none answered 404 (404 Not Found)", "(Host: localhost)", "pulumi config set healthPath /healthz"],
            id="no such page",
        ),
        pytest.param(
            app("bad", health=healthz('"<h1>Bad Request (400)</h1>", 400')),
            {"domain": "shop.example"},
            ["answered 400 (Bad Request (400))", "Host: shop.example, the setting domain", "ALLOWED_HOSTS"],
            id="a host that isn't allowed",
        ),
        pytest.param(
            app("bad", "app.config['SERVER_NAME'] = 'shop.example'\napp.url_map.host_matching = True"),
            {},
            ["answered 404", "SERVER_NAME", "pulumi config set domain"],
            id="Flask's own name",
        ),
        pytest.param(
            app("bad", health=healthz('"", 401')),
            {},
            ["answered 401", "pulumi config set healthStatus 401"],
            id="a login",
        ),
        pytest.param(
            app("bad", health=LARGE),
            {},
            ["GET /healthz fails behind Nginx: upstream sent too big header", "32 KB"],
            id="headers that Nginx rejects",
        ),
        pytest.param(
            app("bad", health=healthz('app.redirect("https://localhost/healthz")')),
            {},
            ["answered 302 to https://localhost/healthz", "serves only HTTP", "SECURE_SSL_REDIRECT"],
            id="a redirect to https",
        ),
        pytest.param(
            app("bad", ONLY_THE_HEALTH_CHECK_IS_EXEMPT),
            {},
            ["GET / answered 301 to https://localhost/", "serves only HTTP"],
            id="a redirect to https of all pages except the health check's",
        ),
    ],
)
def test_a_failed_check_says_what_to_change_and_no_client_sees_the_release(
    server: PageAppServer, files: dict[str, str], changes: dict[str, object], messages: list[str]
):
    server.serve("good")
    with server.clients() as clients:
        result = server.release(files, **{"health_timeout": 2, **changes})
    server.assert_still_serves("good", result, *messages)
    assert not clients.failures
    assert set(clients.pages) == {"good"}
    assert server.ssh("sudo find /var/lib/gantry -name 'candidate*'") == ""


def test_a_process_that_starts_too_slowly_is_told_from_one_that_fails(server: PageAppServer):
    server.serve("good")
    server.change_settings(start_timeout=4)
    server.configure()
    try:
        result = server.release(app("slow", "print('loading the model', flush=True)\ntime.sleep(60)"))
        server.assert_still_serves(
            "good", result, "the app didn't listen within 4 s", "loading the model", "pulumi config set startTimeout 8"
        )
        assert result.seconds < 15
        assert server.release(app("fast enough", "time.sleep(2)")).exit_code == 0
    finally:
        server.change_settings(start_timeout=90)
        server.configure()


def test_an_app_that_fails_after_the_switch_is_rolled_back_after_two_checks(server: PageAppServer):
    server.serve("good")
    result = server.release(app("bad", health=FAILS_WHEN_IT_SERVES), health_timeout=30)
    server.assert_still_serves("good", result, "the site isn't healthy: GET /healthz answered 500", "rolled back")
    assert result.seconds < 15


@pytest.fixture
def large_headers(server: PageAppServer) -> PageAppServer:
    if server.page() != "large headers":
        result = server.release(app("large headers", health=HEADERS))
        assert result.exit_code == 0, result.output
    return server


@pytest.mark.parametrize("path", ["/headers/31000", "/cookie/4000", "/redirect/6000"])
def test_a_response_with_large_headers_reaches_the_visitor(large_headers: PageAppServer, path: str):
    with closing(http.client.HTTPConnection(large_headers.spec.address, timeout=10)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status in (200, 302)
        assert sum(len(name) + len(value) for name, value in response.getheaders()) > 4000


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "a=" + "b" * 8000},
        {f"X-Field-{number}": "a" * 8000 for number in range(90)},
        {"Cookie": "a=" + "b" * 8100, **{f"X-Field-{number}": "a" * 1000 for number in range(80)}},
    ],
    ids=["a large cookie", "90 fields of 8 KB", "both"],
)
def test_a_request_with_large_headers_reaches_the_app(large_headers: PageAppServer, headers: dict[str, str]):
    with closing(http.client.HTTPConnection(large_headers.spec.address, timeout=10)) as connection:
        connection.request("GET", "/echo", headers=headers)
        response = connection.getresponse()
        text = response.read().decode()
    assert response.status == 200, text
    assert int(text) > sum(map(len, headers.values()))


def test_a_request_line_as_long_as_gunicorn_accepts_reaches_the_app(large_headers: PageAppServer):
    assert large_headers.get("/echo?" + "a" * (4094 - len("GET /echo? HTTP/1.1")))[0] == 200


def test_a_killed_nginx_starts_again_beside_its_address_for_candidates(server: PageAppServer):
    server.serve("good")
    server.ssh("sudo pkill -9 nginx; sudo systemctl restart nginx")
    server.serve("next")
