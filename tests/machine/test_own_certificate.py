"""A certificate of the settings on a stack: served, changed without a failed request, and given up again."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.issuer import Issuer, Pair
from tests.load import load
from tests.stack import Stack, copy_example_app, get, output

pytestmark = pytest.mark.machine
DOMAIN = "rocket.test"
ISSUER = Issuer.new()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    settings = {"app": str(copy_example_app(tmp_path)), "domain": DOMAIN, "healthPath": "/healthz"}
    with Stack.temporary("own", tmp_path, settings) as stack:
        yield stack


def test_a_certificate_of_the_settings_is_served_and_changed_without_a_failed_request_and_without_a_shown_key(
    stack: Stack, tmp_path: Path
):
    first, second = ISSUER.issue(DOMAIN, f"*.{DOMAIN}"), ISSUER.issue(DOMAIN, f"*.{DOMAIN}")
    give(stack, first)
    shown = output(stack.up())
    assert not [line for line in first.key_pem.splitlines() if line in shown]
    assert stack.outputs()["url"] == f"https://{DOMAIN}/"
    assert shown_certificate(stack) == first.pem
    assert answer(stack) == 200
    redirect = get(f"http://{address_of(stack)}/some/page", host=DOMAIN)
    assert redirect.headers["Location"] == f"https://{DOMAIN}/some/page"
    assert stack.steps() == {}

    give(stack, second)
    assert stack.steps() == {"own-0-own-certificate": "update"}
    preview = output(stack.pulumi("preview", "--diff"))
    assert not [key for pair in (first, second) for key in pair.key_pem.splitlines() if key in preview]
    with load(f"https://{address_of(stack)}/", tmp_path, host=DOMAIN, method="GET") as visits:
        stack.up()
    assert visits.requests > 100 and visits.failed == {}
    assert shown_certificate(stack) == second.pem
    assert f"HTTPS for *.{DOMAIN}, {DOMAIN} until" in stack.ssh("sudo gantry status").stdout
    assert "broken" not in stack.ssh("sudo gantry check").stdout

    stack.configure(tls="off")
    stack.up()
    assert stack.outputs()["url"] == f"http://{address_of(stack)}/"
    assert get(stack.outputs()["url"], host=DOMAIN).status == 200
    assert "HTTPS" not in stack.ssh("sudo gantry status").stdout


def give(stack: Stack, pair: Pair) -> None:
    """Set the certificate as a user does."""
    stack.set_from_input("tls.certificate", ISSUER.chain(pair))
    stack.set_from_input("tls.key", pair.key_pem, "--secret")


def address_of(stack: Stack) -> str:
    return stack.outputs()["servers"][0]["address"]


def connect(stack: Stack) -> ssl.SSLSocket:
    """A connection to the site, whose certificate must be valid for the domain."""
    context = ssl.create_default_context(cadata=ISSUER.root.pem)
    connection = socket.create_connection((address_of(stack), 443), timeout=10)
    return context.wrap_socket(connection, server_hostname=DOMAIN)


def answer(stack: Stack) -> int:
    """The status of a request with HTTPS."""
    with connect(stack) as secure:
        secure.sendall(f"GET / HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n".encode())
        return int(secure.recv(4096).split()[1])


def shown_certificate(stack: Stack) -> str:
    with connect(stack) as secure:
        return ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True) or b"")
