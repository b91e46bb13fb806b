"""Visitors who pass maintenance, hold connections or flood logs: docs/reliability.md and docs/security.md."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import socket
import time
from collections import Counter
from contextlib import ExitStack, closing

import pytest

from tests.machine import attackers, maintenance_requests
from tests.machine.clients import send_request
from tests.machine.page_app import PageAppServer, app

pytestmark = pytest.mark.machine
SERVER_CLASS = PageAppServer


# Visitors who try to pass the maintenance page.


def test_of_hundreds_of_requests_only_those_for_exactly_the_health_path_pass_maintenance(server: PageAppServer):
    server.serve("good")
    try:
        # A trusted proxy may name the visitor's address, also that of the server itself.
        for proxies in ((), (f"{own_address(server)}/32",)):
            server.change_settings(maintenance=True, trusted_proxies=proxies)
            server.configure()
            maintenance_requests.assert_only_the_health_path_passes(server.spec.address)
        assert server.release(app("next")).exit_code == 0, "a release must be possible during maintenance"
    finally:
        server.change_settings(maintenance=False, trusted_proxies=())
        server.configure()
    assert server.page() == "next"


# Visitors who claim to be somebody else.

ENVIRON = """
from flask import request
@app.route("/environ")
def environ():
    return {key: value for key, value in request.environ.items() if isinstance(value, str)}
"""
FORGED = {
    "X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil",
    "X-Forwarded-Port": "444", "X-Forwarded-Ssl": "on", "X-Forwarded-Protocol": "ssl", "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=1.2.3.4;host=evil;proto=https", "Proxy": "http://evil", "X_Real_IP": "1.2.3.4",
    "X_Forwarded_For": "1.2.3.4", "X_Forwarded_Host": "evil",
}  # fmt: skip


@pytest.mark.parametrize("web", ["gunicorn app:app", "gunicorn -k gevent app:app", "gunicorn -b 0.0.0.0:$PORT app:app"])
def test_an_app_without_proxyfix_sees_the_visitors_address_and_host_and_nothing_that_visitors_claim(
    server: PageAppServer, web: str
):
    files = app("good", ENVIRON) | {"Procfile": f"web: {web}\n", "requirements.txt": "flask\ngevent\n"}
    assert server.release(files).exit_code == 0
    with socket.create_connection((server.spec.address, 80)) as connection:
        address = connection.getsockname()[0]
    visitor = {
        "REMOTE_ADDR": address, "HTTP_X_REAL_IP": address, "HTTP_X_FORWARDED_FOR": address, "wsgi.url_scheme": "http",
        "HTTP_HOST": "shop.example.org:8080", "HTTP_X_FORWARDED_HOST": "shop.example.org:8080",
        "HTTP_X_FORWARDED_PROTO": "http", "HTTP_X_FORWARDED_PORT": "80",
    }  # fmt: skip
    for headers in ({}, FORGED):
        with closing(http.client.HTTPConnection(server.spec.address, timeout=10)) as connection:
            connection.request("GET", "/environ", headers={"Host": "Shop.example.org:8080", **headers})
            environ = json.loads(connection.getresponse().read())
        assert {key: environ.get(key) for key in visitor} == visitor
        claims = ("1.2.3.4", "evil", "444", "ssl", "on")
        assert {key: value for key, value in environ.items() if value in claims or "evil" in value} == {}
        assert not {"HTTP_FORWARDED", "HTTP_PROXY", "HTTP_X_FORWARDED_PREFIX"} & set(environ)


# Requests that are too large or too slow.

SIZE = """
from flask import request
@app.route("/size", methods=["POST"])
def size():
    return str(len(request.get_data()))
"""


def test_an_upload_over_the_limit_gets_413_and_an_answer_over_the_limit_gets_504(server: PageAppServer):
    server.change_settings(max_upload=1, request_timeout=2, drain_timeout=5)
    server.configure()
    try:
        assert server.release(app("good", SIZE)).exit_code == 0
        megabyte = 1024 * 1024
        assert answer(server, "POST", "/size", b"x" * megabyte) == (200, str(megabyte))
        assert answer(server, "POST", "/size", b"x" * (megabyte + 1))[0] == 413
        start = time.monotonic()
        assert answer(server, "GET", "/slow")[0] == 504
        assert 1.9 < time.monotonic() - start < 4
        assert "upstream timed out" in server.ssh("sudo tail -n 3 /var/log/nginx/error.log")
        assert answer(server, "GET", "/") == (200, "good")
    finally:
        server.change_settings(max_upload=32, request_timeout=60, drain_timeout=30)
        server.configure()


def answer(server: PageAppServer, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(server.spec.address, timeout=10)) as connection:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read().decode()


# Visitors who hold connections, and floods.

LARGE_PAGE = """
@app.route("/large")
def large():
    return "x" * 16_000_000
"""


def test_slow_readers_who_claim_to_want_a_stream_hold_no_thread_of_the_app(server: PageAppServer):
    assert server.release(app("good", LARGE_PAGE)).exit_code == 0
    header = f"Host: {server.spec.address}\r\nAccept: text/event-stream\r\n"
    with ExitStack() as connections:
        # More than twice as many as the app has threads.
        for _ in range(20):
            connection = connections.enter_context(socket.create_connection((server.spec.address, 80), timeout=10))
            connection.sendall(f"GET /large HTTP/1.1\r\n{header}\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
        with server.clients() as clients:
            time.sleep(2)
    assert clients.pages["good"] > 100
    assert not clients.failures


def test_thousands_of_slow_connections_fail_no_other_visitors_request(server: PageAppServer):
    server.serve("good")
    address = server.spec.address
    held = list[int]()

    def holds_connections() -> bool:
        held.append(int(server.ssh(f"ss -Hnt state established '( sport = :80 )' | grep -c {flooder}: || true")))
        return held[-1] > 100

    with attackers.addresses(address, 11) as (flooder, *slow), server.clients() as clients:
        with (
            attackers.slow_visitors(address, [flooder], 4000) as flood,
            attackers.slow_visitors(address, slow, 400) as others,
        ):
            server.wait_until(lambda: others.opened >= 4000, "4,000 slow connections", 60)
            before = clients.requests
            time.sleep(5)
            # Nginx ends them after 10 s, and the visitor opens others.
            server.wait_until(holds_connections, "connections of the first visitor", 30)
        during = clients.requests - before
    assert clients.failures == []
    assert during > 20
    # For a moment, the server may have connections that its firewall already counts as closed.
    assert max(held) < 1000
    assert 100 < flood.opened < 4000


def test_pings_in_a_visitors_name_dont_count_as_connections(server: PageAppServer):
    server.serve("good")
    address = server.spec.address
    with attackers.addresses(address, 1) as [visitor]:
        attackers.ping(address, visitor, 1200)
        with closing(http.client.HTTPConnection(address, timeout=5, source_address=(visitor, 0))) as connection:
            assert send_request(connection, "GET", "/") == (200, "good")


def test_fifty_visitors_behind_one_address_have_six_connections_each(server: PageAppServer):
    server.serve("good")
    with ExitStack() as stack:
        connections = [
            stack.enter_context(closing(http.client.HTTPConnection(server.spec.address, timeout=20)))
            for _ in range(50 * 6)
        ]
        for _ in range(2):
            assert {send_request(connection, "GET", "/") for connection in connections} == {(200, "good")}


def test_stalled_uploads_hold_little_of_the_disk_and_no_other_visitors_request(server: PageAppServer):
    server.serve("good")
    # Nginx deletes the names of these files at once, and the files at the end of the request.
    bodies = "sudo sh -c 'ls -l /proc/[0-9]*/fd 2> /dev/null' | grep /var/lib/nginx/body/ || true"
    with (
        attackers.addresses(server.spec.address, 1) as [flooder],
        server.clients() as clients,
        attackers.stalled_uploads(server.spec.address, flooder, 40, 2) as uploads,
    ):
        # On a disk below 20 GB there are fewer.
        server.wait_until(lambda: uploads.statuses() == {None: 16, 429: 24}, "24 refused uploads", 20)
        server.wait_until(lambda: len(server.ssh(bodies).splitlines()) == 16, "16 files", 20)
        with closing(http.client.HTTPConnection(server.spec.address, timeout=20)) as visitor:
            visitor.request("POST", "/post", body=b"x" * 150_000)
            assert visitor.getresponse().status == 200
        uploads.stall()
        server.wait_until(lambda: not server.ssh(bodies), "the end of the stalled uploads", 40)
    assert clients.failures == []
    assert clients.requests > 100


# Floods of log lines.

BURST = """
import sys
@app.route("/burst/<int:lines>")
def burst(lines):
    sys.stdout.write("burst\\n" * lines)
    sys.stdout.flush()
    return "logged"
"""


def test_the_log_has_every_line_of_a_burst(server: PageAppServer):
    assert server.release(app("bursts", BURST)).exit_code == 0
    assert server.get("/burst/60000", timeout=60) == (200, "logged")
    server.wait_until(lambda: logged(server)[0] >= 60_000, "60,000 lines in the log", 60)
    assert logged(server) == (60_000, 0)


def test_beyond_its_rate_the_log_of_the_app_says_how_many_lines_are_missing(server: PageAppServer):
    drop_in = "/run/systemd/system/gantry-web@.service.d/rate.conf"
    server.script(f"mkdir -p $(dirname {drop_in}) && printf '[Service]\nLogRateLimitIntervalSec=2\n' > {drop_in}")
    server.script(f"echo LogRateLimitBurst=1000 >> {drop_in} && systemctl daemon-reload")
    try:
        assert server.release(app("bursts, limited", BURST)).exit_code == 0
        assert server.get("/burst/60000", timeout=60) == (200, "logged")
        sent, deadline = 60_000, time.monotonic() + 60
        while sum(logged(server)) != sent and time.monotonic() < deadline:
            time.sleep(2)
            # The journal says how many lines are lost when the next line arrives.
            assert server.get("/burst/1", timeout=60) == (200, "logged")
            sent += 1
        kept, lost = logged(server)
        assert kept + lost == sent
        assert lost > 10_000
    finally:
        server.script(f"rm {drop_in} && systemctl daemon-reload")


def logged(server: PageAppServer) -> tuple[int, int]:
    """The lines of bursts in the log of the deployment that serves, and the lines that it names as lost."""
    unit = f"gantry-web@{server.deployment()}"
    text = server.ssh(f"sudo journalctl --unit {unit} --output cat | grep -E '^burst|Suppressed' | uniq -c")
    kept = sum(int(line.split()[0]) for line in text.splitlines() if line.endswith("burst"))
    return kept, sum(map(int, re.findall(r"Suppressed (\d+) messages", text)))


def test_a_flood_of_every_log_is_rotated_within_a_minute_and_the_access_log_keeps_each_line_once(
    server: PageAppServer,
):
    server.serve("good")
    logs = ("nginx/access.log", "nginx/gantry.log", "nginx/error.log", "apt/history.log", "cloud-init.log", "btmp")
    marker = f"/?{secrets.token_hex(4)}"
    with server.clients([marker]) as clients:
        flood = " ".join(f"/var/log/{log}" for log in logs)
        server.script(f"yes 'a line of a flood' | head -c 40000000 | tee -a {flood} > /dev/null")
        sizes = "sudo stat --format %s " + flood
        server.wait_until(
            lambda: all(int(size) < 40_000_000 for size in server.ssh(sizes).split()), "the rotation of the logs", 60
        )
        compressed = "sudo ls /var/log/nginx /var/log/apt | grep -E '^(access|history).log-.*gz$'"
        server.wait_until(lambda: len(server.ssh(compressed, check=False).splitlines()) >= 2, "the compression", 30)
        time.sleep(1)
    assert (clients.failures, clients.requests > 100) == ([], True)
    # Nginx writes its buffer after a second.
    time.sleep(1.5)
    lines = server.ssh(f"sudo sh -c 'zcat -f /var/log/nginx/access.log*' | grep -cF 'GET {marker} '")
    assert int(lines) == clients.requests
    modes = server.ssh("sudo stat --format '%a %U %G' /var/log/nginx/*").splitlines()
    assert set(modes) == {"640 www-data adm"}
    assert "Permission denied" in server.ssh("sudo -u app head -c 1 /var/log/nginx/access.log 2>&1", check=False)
    assert int(server.ssh("sudo du --summarize --block-size=1M /var/log/nginx").split()[0]) < 60
    assert "gantry-logs" not in server.ssh("sudo journalctl --since -1min --no-pager | grep -v sudo", check=False)


# A CDN, and a limit of requests.


def test_visitors_behind_a_trusted_proxy_are_counted_by_their_own_address_or_network(server: PageAppServer):
    server.serve("good")
    server.change_settings(requests_per_second=1, trusted_proxies=(f"{own_address(server)}/32",))
    server.configure()
    try:
        one, many = [statuses(server, addresses) for addresses in (["198.51.100.7"] * 40, SEVERAL)]
        server_itself = [statuses(server, [address] * 40) for address in ("127.0.0.1", "::1")]
        network = statuses(server, [f"2001:db8::{number}" for number in range(1, 41)])
        other_networks = statuses(server, [f"2001:db8:0:{number}::1" for number in range(1, 41)])
    finally:
        server.change_settings(requests_per_second=None, trusted_proxies=())
        server.configure()
    # A burst of 10, and one more for each second that the requests took.
    for counts in (one, network, *server_itself):
        assert 11 <= counts[200] <= 30 and counts[200] + counts[429] == 40
    assert many == other_networks == {200: 40}
    assert statuses(server, ["198.51.100.7"] * 40) == {200: 40}
    time.sleep(1.5)
    log = server.ssh("sudo cat /var/log/nginx/access.log")
    assert "\n198.51.101.1 - - [" in log


SEVERAL = [f"198.51.101.{number}" for number in range(1, 41)]


def own_address(server: PageAppServer) -> str:
    """The address of this computer, as the server sees it."""
    with socket.create_connection((server.spec.address, 80)) as connection:
        return connection.getsockname()[0]


def statuses(server: PageAppServer, addresses: list[str]) -> Counter[int]:
    """How many answers have which status, to requests that name these addresses as the visitors'."""
    counts = Counter[int]()
    with closing(http.client.HTTPConnection(server.spec.address, timeout=20)) as connection:
        for address in addresses:
            connection.request("GET", "/", headers={"X-Forwarded-For": address})
            response = connection.getresponse()
            response.read()
            counts[response.status] += 1
    return counts
