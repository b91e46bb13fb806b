"""A server gets its certificate from an ACME authority, renews it, and goes on serving when that fails."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator

import pytest

from tests.machine.acme_authority import ACCOUNT, ORDER, Authority
from tests.machine.https_server import DOMAIN, LATE, NAMES, REDIRECTED, REFUSED, SERVED, WWW, HttpsServer, Issue

pytestmark = pytest.mark.machine
SERVER_CLASS = HttpsServer
# A certificate is renewed after half of it.
SHORT_LIFETIME = 20


@pytest.fixture(scope="module")
def authority(server: HttpsServer) -> Iterator[Authority]:
    """An authority that knows the names. The server runs the app, and has no certificate yet."""
    authority = Authority.boot(server.machines, server.spec.network)
    for name in NAMES:
        authority.set_address(name, server.spec.address)
    server.know_names(*NAMES)
    server.start_app()
    yield authority


def get_certificate(server: HttpsServer, authority: Authority) -> Issue:
    """Get a certificate for all names, or keep that of an earlier test."""
    issue = server.get_certificate(authority, *NAMES)
    assert (issue.report["https"], issue.report["names"], issue.report["missing"]) == (True, sorted(NAMES), {})
    return issue


def test_without_a_certificate_the_site_has_http(server: HttpsServer, authority: Authority):
    assert server.http(DOMAIN).text == server.page_text
    with pytest.raises(ConnectionRefusedError):
        server.https(DOMAIN, authority.issuer)
    assert server.http(DOMAIN, "/.well-known/acme-challenge/unknown").status == 404


def test_a_certificate_for_all_names_is_installed_without_a_failed_request(server: HttpsServer, authority: Authority):
    with server.http_clients() as clients:
        start = time.monotonic()
        get_certificate(server, authority)
        print(f"with the installation of certbot: {time.monotonic() - start:.1f} s")
        time.sleep(1)
    assert not clients.failures
    assert clients.pages[server.page_text] > 100
    for name in (DOMAIN, SERVED):
        assert server.https(name, authority.issuer, "/url").text == f"https://{name}/url"
    for name in (WWW, REDIRECTED):
        response = server.https(name, authority.issuer, "/a?b=c")
        assert (response.status, response.headers["Location"]) == (301, f"https://{DOMAIN}/a?b=c")
    for name in NAMES:
        response = server.http(name, "/a?b=c")
        assert (response.status, response.headers["Location"]) == (308, f"https://{name}/a?b=c")
    with pytest.raises(ssl.SSLCertVerificationError):
        server.https("other.test", authority.issuer)
    # The authority comes over HTTP.
    assert server.http(DOMAIN, "/.well-known/acme-challenge/unknown").status == 404


def test_a_name_that_the_authority_refuses_is_not_asked_for_at_each_run(server: HttpsServer, authority: Authority):
    server.know_names(*NAMES, REFUSED)
    issue = server.get_certificate(authority, *NAMES, REFUSED)
    assert list(issue.report["missing"]) == [REFUSED]
    orders, serial = authority.requests(ORDER), server.serial()
    for _ in range(2):
        server.renew()
    assert (authority.requests(ORDER), server.serial()) == (orders, serial)


def test_a_kept_certificate_is_served_on_a_new_server_without_the_authority(server: HttpsServer, authority: Authority):
    archive = get_certificate(server, authority).report["archive"]
    serial, orders = server.serial(), authority.requests(ORDER)
    server.forget_certificate()
    with pytest.raises(ConnectionRefusedError):
        server.serial()
    authority.stop()
    try:
        server.restore_certificate(archive)
        assert server.serial() == serial
        assert server.https(DOMAIN, authority.issuer).text == server.page_text
    finally:
        authority.start()
    # It isn't due.
    get_certificate(server, authority)
    assert server.renew()[0] == 0
    assert (server.serial(), authority.requests(ORDER)) == (serial, orders)


def test_a_name_without_a_record_costs_only_its_own_https(server: HttpsServer, authority: Authority):
    issue = server.get_certificate(authority, *NAMES, LATE)
    assert list(issue.report["missing"]) == [LATE]
    assert f"create the record: {LATE}. A {server.spec.address}" in issue.lines
    assert server.https(SERVED, authority.issuer).text == server.page_text
    authority.set_address(LATE, server.spec.address)
    server.know_names(*NAMES, LATE)
    assert server.renew()[0] == 0
    assert server.https(LATE, authority.issuer).text == server.page_text
    # Also if an earlier test has restored the account.
    assert authority.requests(ACCOUNT) == 1


def test_a_short_certificate_is_renewed_under_load_although_the_authority_was_down(
    server: HttpsServer, authority: Authority
):
    other = authority.another(1, lifetime=SHORT_LIFETIME)
    due = get_certificate(server, other).report["ends"] - SHORT_LIFETIME / 2
    serial = server.serial()
    with server.https_clients(other.issuer) as clients, server.https_sockets(other.issuer, 3) as sockets:
        other.stop()
        time.sleep(max(0, due + 1 - time.time()))
        status, output = server.renew()
        assert status == 1
        assert "the last request for a certificate failed: " in output
        assert server.status()["certificate"]["problem"] in output
        assert server.serial() == serial
        other.start()
        assert server.renew("--now")[0] == 0
        assert server.serial() != serial
        assert not server.status()["certificate"]["problem"]
        time.sleep(1)
    assert not clients.failures
    assert clients.requests > 300
    assert [socket.refusals for socket in sockets] == [[]] * 3
    assert all(socket.messages > 30 for socket in sockets)
    print("pauses of the WebSockets:", [socket.gaps for socket in sockets])
    assert all(gap < 2 for socket in sockets for gap in socket.gaps)


def test_a_site_without_a_domain_has_a_certificate_for_its_address(server: HttpsServer, authority: Authority):
    server.change_settings(domain=None, aliases={})
    server.configure()
    address = server.spec.address
    issue = server.get_certificate(authority, address)
    assert (issue.report["https"], issue.report["names"]) == (True, [address])
    assert server.https(address, authority.issuer, "/url").text == f"https://{address}/url"
    assert server.http(address, "/a").headers["Location"] == f"https://{address}/a"
