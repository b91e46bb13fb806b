"""The site's names, and HTTPS with a certificate on the server. The tests run in this order."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from websockets.sync.client import connect

from components.settings.common import Settings
from tests.machine import refused_requests
from tests.machine.https_server import without_check
from tests.machine.page_app import PageAppServer, app
from tests.machine.raw_streams import PAUSE_SECONDS, ROUTES
from tests.machine.refused_requests import JSON, answer, request
from tests.stack_settings import make_settings

pytestmark = pytest.mark.machine

DOMAIN, SERVED, MOVED = "rocket.test", "shop.test", "old.test"
CHALLENGE = "/.well-known/acme-challenge/token_1"
HSTS = "max-age=63072000"
# An app such as those with Flask-Talisman: it answers only visitors who use https.
REDIRECTS_TO_HTTPS = """
from flask import redirect, request
@app.before_request
def require_https():
    if request.headers["X-Forwarded-Proto"] != "https":
        return redirect(request.url.replace("http://", "https://", 1))
"""
CERTIFICATE = f"""
set -e
folder=/var/lib/gantry/certificates/test
mkdir -p $folder
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={DOMAIN} -days 30 2> /dev/null \\
  -keyout $folder/privkey.pem -out $folder/fullchain.pem \\
  -addext subjectAltName=DNS:{DOMAIN},DNS:www.{DOMAIN},DNS:{SERVED}
ln -sfn $folder /var/lib/gantry/certificate
"""


class NamedServer(PageAppServer):
    """A server with a domain, whose requests have that as Host."""

    @classmethod
    def first_settings(cls, folder: Path) -> Settings:
        aliases = {SERVED: "serve", MOVED: "redirect"}
        return make_settings(
            health_timeout=8, workers=2, domain=DOMAIN, aliases=aliases, tls="auto", hsts=True, health_status=200
        )

    def ask(
        self, host: str, path: str = "/", *, secure: bool = False, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text. The certificate isn't checked."""
        address = self.spec.address
        connection = (
            http.client.HTTPSConnection(address, timeout=10, context=without_check())
            if secure
            else http.client.HTTPConnection(address, timeout=10)
        )
        with closing(connection):
            connection.request("GET", path, headers={"Host": host, **(headers or {})})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read().decode()

    def get(self, path: str = "/", timeout: float = 10) -> tuple[int, str]:
        status, _, text = self.ask(DOMAIN, path)
        return status, text


SERVER_CLASS = NamedServer


def test_before_the_first_release_visitors_read_that_the_site_is_not_here_yet(server: NamedServer):
    page = answer(server.spec.address, request(DOMAIN))
    assert (page.status, page.title, page.headers["Retry-After"]) == (503, "503 Not here yet", "5")


@pytest.fixture(scope="module")
def named(server: NamedServer) -> NamedServer:
    """The server with its first release, without a certificate."""
    server.serve("good")
    return server


def test_the_app_answers_under_its_domain_and_under_aliases_that_are_served(named: NamedServer):
    for host in (DOMAIN, "Rocket.TEST", f"{DOMAIN}.", f"{DOMAIN}:8080", SERVED):
        assert named.ask(host)[::2] == (200, "good"), host


def test_www_and_other_aliases_are_redirected_with_path_query_and_port(named: NamedServer):
    for host, port in ((f"www.{DOMAIN}", ""), (MOVED, ""), (f"{MOVED.upper()}:8080", ":8080")):
        status, headers, _ = named.ask(host, "/a?b=c")
        assert (status, headers["Location"]) == (301, f"http://{DOMAIN}{port}/a?b=c")


def test_other_names_are_misdirected_whatever_their_senders_claim(named: NamedServer):
    own = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": DOMAIN, "X-Real-IP": "127.0.0.1"}
    # The stack's URL has this address.
    assert named.ask(named.spec.address)[0] == 200
    for host in ("other.test", f"{DOMAIN}.other.test", f"a.{DOMAIN}", "127.0.0.1", "localhost"):
        for headers in ({}, own):
            status, answered, text = named.ask(host, headers=headers)
            assert (status, answered["Content-Type"]) == (421, "text/html")
            assert "no site of this name" in text
    status, answered, text = named.ask("other.test", headers={"Accept": "application/json"})
    assert (status, answered["Content-Type"], text[:9]) == (421, "application/json", '{"error":')


def test_the_server_itself_may_ask_under_any_name_and_an_authority_too(named: NamedServer):
    program = "import urllib.request as r; print(*(r.urlopen(f'http://{a}/').status for a in ('127.0.0.1', '[::1]')))"
    assert named.ssh(f'python3 -c "{program}"') == "200 200"
    named.script(f"echo proof | install -D -m 0644 /dev/stdin /var/lib/gantry-acme/challenges{CHALLENGE}")
    for host in (DOMAIN, f"www.{DOMAIN}", MOVED, "not-yet.test"):
        assert named.ask(host, CHALLENGE)[::2] == (200, "proof\n")
    assert named.ask(DOMAIN, f"{CHALLENGE}_2")[0] == 404, "the app answers other challenges"


def test_a_request_without_a_host_is_refused_or_is_for_the_domain(named: NamedServer):
    for version, status in ((b"1.1", b"400"), (b"1.0", b"200")):
        with socket.create_connection((named.spec.address, 80), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/" + version + b"\r\n\r\n")
            assert connection.recv(100).split()[1] == status


OWN_ANSWERS = """
@app.route("/status/<int:status>")
def status(status):
    return "from the app", status
"""


def test_each_request_that_nginx_refuses_gets_a_page_or_json(named: NamedServer):
    address = named.spec.address
    for status, refused in refused_requests.refused(DOMAIN).items():
        page = answer(address, refused)
        assert (page.status, page.title[:4], page.headers["Content-Type"]) == (status, f"{status} ", "text/html")
    for status, refused in refused_requests.refused(DOMAIN, JSON).items():
        # Nginx hasn't read the header of a request with a long address.
        document = answer(address, refused)
        assert document.status == status
        assert status == 414 or json.loads(document.text)["status"] == status
    bad = answer(address, b"NO METHOD\r\n\r\n")
    assert (bad.status, bad.title) == (400, "400 Bad request")


def test_the_app_answers_itself_and_has_pages_of_its_own(named: NamedServer):
    address = named.spec.address
    pages = {"413.html": "<title>413 of the app</title>\n", "503.html": "<title>503 of the app</title>\n"}
    assert named.release(app("good", OWN_ANSWERS) | pages).exit_code == 0
    for status in (400, 404, 413, 429, 500, 502, 503, 504):
        for accept in ("text/html", JSON):
            own = answer(address, request(DOMAIN, f"/status/{status}", accept=accept))
            assert (own.status, own.text, own.headers["Retry-After"]) == (status, "from the app", None)
    large = [answer(address, refused_requests.refused(DOMAIN, accept)[413]) for accept in ("", JSON)]
    assert (large[0].title, json.loads(large[1].text)["status"]) == ("413 of the app", 413)
    named.script("mv /var/lib/gantry/web.sock /var/lib/gantry/hidden.sock")
    try:
        page, document, head = (
            answer(address, request(DOMAIN, method=method, accept=accept))
            for method, accept in (("GET", "text/html,*/*"), ("GET", JSON), ("HEAD", "text/html"))
        )
        assert [each.status for each in (page, document, head)] == [503] * 3
        assert [each.headers["Retry-After"] for each in (page, document, head)] == ["5"] * 3
        assert (page.title, json.loads(document.text)["status"], head.text) == ("503 of the app", 503, "")
    finally:
        named.script("mv /var/lib/gantry/hidden.sock /var/lib/gantry/web.sock")
    named.serve("good")


def test_a_flood_and_maintenance_have_pages(named: NamedServer):
    address = named.spec.address
    try:
        named.change_settings(requests_per_second=1)
        named.configure()
        for accept, title in (("text/html", "429 Too many requests"), (JSON, "")):
            answers = [answer(address, request(DOMAIN, accept=accept)) for _ in range(40)]
            limited = [each for each in answers if each.status == 429]
            assert limited and {each.title for each in limited} == {title}
        named.change_settings(requests_per_second=None, maintenance=True)
        named.configure()
        page, document = (answer(address, request(DOMAIN, accept=accept)) for accept in ("text/html", JSON))
        assert (page.status, page.title, page.headers["Retry-After"]) == (503, "503 Under maintenance", "300")
        assert (document.status, json.loads(document.text)["status"]) == (503, 503)
    finally:
        named.change_settings(requests_per_second=None, maintenance=False)
        named.configure()


def test_without_a_certificate_the_site_stays_on_http(named: NamedServer):
    assert "Strict-Transport-Security" not in named.ask(DOMAIN)[1]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((named.spec.address, 443), timeout=5).close()


@pytest.fixture(scope="module")
def secured(named: NamedServer) -> NamedServer:
    """The same server with a certificate for all names but one."""
    named.script(CERTIFICATE)
    named.configure()
    return named


def test_visitors_who_use_http_are_redirected_if_the_certificate_has_the_name(secured: NamedServer):
    for host in (DOMAIN, f"www.{DOMAIN}", SERVED, f"{DOMAIN}:80"):
        status, headers, _ = secured.ask(host, "/a?b=c", headers={"X-Forwarded-Proto": "https"})
        assert (status, headers["Location"]) == (308, f"https://{host.removesuffix(':80')}/a?b=c")
        assert "Strict-Transport-Security" not in headers
    status, headers, _ = secured.ask(MOVED)
    assert (status, headers["Location"]) == (301, f"http://{DOMAIN}/")
    assert secured.ask("other.test")[0] == 421
    assert secured.ask(DOMAIN, CHALLENGE)[::2] == (200, "proof\n")


def test_https_answers_under_all_names_and_tells_browsers_to_stay(secured: NamedServer):
    expected = {DOMAIN: 200, SERVED: 200, f"www.{DOMAIN}": 301, MOVED: 301, "other.test": 421}
    for host, status in expected.items():
        answered, headers, _ = secured.ask(host, secure=True)
        assert (answered, headers["Strict-Transport-Security"]) == (status, HSTS)
        assert status != 301 or headers["Location"] == f"https://{DOMAIN}/"
    assert secured.ask(DOMAIN, "/style.0123456789ab.css", secure=True)[1]["Strict-Transport-Security"] == HSTS


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("version", "works"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_tls_is_modern_and_offers_http_2(secured: NamedServer, version: str, works: bool):
    context = without_check()
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with socket.create_connection((secured.spec.address, 443), timeout=10) as connection:
        if not works:
            with pytest.raises(OSError):
                context.wrap_socket(connection, server_hostname=DOMAIN)
            return
        with context.wrap_socket(connection, server_hostname=DOMAIN) as secure:
            cipher = secure.cipher()
            assert secure.selected_alpn_protocol() == "h2"
            assert cipher and ("GCM" in cipher[0] or "CHACHA20" in cipher[0])


def test_websockets_and_events_pass_https(secured: NamedServer):
    assert secured.release(app("streams", ROUTES)).exit_code == 0
    connection = socket.create_connection((secured.spec.address, 443), timeout=10)
    with connect(
        f"wss://{DOMAIN}/socket", sock=connection, ssl=without_check(), proxy=None, close_timeout=1
    ) as websocket:
        assert websocket.recv(timeout=10) == "hello"
    resolve = f"{DOMAIN}:443:{secured.spec.address}"
    command = ["curl", "--silent", "--insecure", "--no-buffer", "--http2", "--resolve", resolve]
    command += ["--header", "Accept: text/event-stream", "--dump-header", "-", f"https://{DOMAIN}/events"]
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout
        lines = iter(curl.stdout)
        assert next(lines).startswith("HTTP/2 200")
        assert any(line == "data: 0\n" for line in lines)
        assert time.monotonic() - start < PAUSE_SECONDS - 0.5
        assert "data: 1\n" in list(lines)


def test_an_app_that_redirects_visitors_to_https_passes_all_health_checks(secured: NamedServer):
    result = secured.release(app("secure", REDIRECTS_TO_HTTPS), watch=2)
    assert result.exit_code == 0, result.output
    assert secured.ask(DOMAIN, secure=True)[::2] == (200, "secure")
    assert '"broken"' not in secured.ssh("sudo gantry check --json")


def test_maintenance_and_a_dead_app_keep_the_header_and_challenges(secured: NamedServer):
    secured.change_settings(maintenance=True)
    secured.configure()
    try:
        status, headers, _ = secured.ask(DOMAIN, secure=True)
        assert (status, headers["Retry-After"], headers["Strict-Transport-Security"]) == (503, "300", HSTS)
        assert secured.ask(DOMAIN, CHALLENGE)[::2] == (200, "proof\n")
    finally:
        secured.change_settings(maintenance=False)
        secured.configure()
    secured.script("mv /var/lib/gantry/web.sock /var/lib/gantry/hidden.sock")
    try:
        status, headers, _ = secured.ask(DOMAIN, secure=True)
        assert (status, headers["Retry-After"], headers["Strict-Transport-Security"]) == (503, "5", HSTS)
    finally:
        secured.script("mv /var/lib/gantry/hidden.sock /var/lib/gantry/web.sock")
