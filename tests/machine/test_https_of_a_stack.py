"""HTTPS of a stack from its settings to its URL, also after its server was replaced. One story on two machines."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.acme_authority import ORDER, Authority
from tests.machine.local_machines import LocalMachines
from tests.stack import Stack, copy_example_app, get, output

pytestmark = pytest.mark.machine
DOMAIN = "rocket.test"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    settings = {"app": str(copy_example_app(tmp_path)), "domain": DOMAIN, "healthPath": "/healthz"}
    with Stack.temporary("https", tmp_path, settings) as stack:
        yield stack


@pytest.fixture
def authority(stack: Stack, machines: LocalMachines) -> Authority:
    """An authority on the network of the stack, which is up without HTTPS."""
    stack.up()
    return Authority.boot(machines, stack.resource("https")["network_id"])


def test_https_comes_when_it_can_and_a_new_server_has_the_certificate_of_the_old_one(
    stack: Stack, authority: Authority
):
    stack.configure(tls="auto", acmeDirectory=authority.directory, acmeRoot=authority.root + authority.issuer)
    shown = output(stack.up())
    assert f"DNS doesn't know {DOMAIN}; create the record: {DOMAIN}. A {address_of(stack)}" in shown
    assert stack.outputs()["url"] == f"http://{address_of(stack)}/"
    assert get(stack.outputs()["url"], host=DOMAIN).status == 200

    stack.script(f"echo {address_of(stack)} {DOMAIN} >> /etc/hosts")
    authority.set_address(DOMAIN, address_of(stack))
    authority.stop()
    assert "the last request for a certificate failed" in output(stack.up())
    assert get(f"http://{address_of(stack)}/", host=DOMAIN).status == 200

    authority.start()
    assert stack.steps() == {"https-0-certificate": "update"}
    stack.up()
    assert stack.outputs()["url"] == f"https://{DOMAIN}/"
    assert stack.steps() == {}
    assert (
        get(f"http://{address_of(stack)}/some/page", host=DOMAIN).headers["Location"] == f"https://{DOMAIN}/some/page"
    )
    certificate = shown_certificate(stack, authority)

    before = authority.requests(ORDER)
    assert before > 0
    stack.up("--replace", server_urn(stack))
    assert shown_certificate(stack, authority) == certificate
    assert stack.outputs()["url"] == f"https://{DOMAIN}/"
    assert authority.requests(ORDER) == before
    # The host program's health checks, and the check of each layer.
    assert "broken" not in stack.ssh("sudo gantry check").stdout


def address_of(stack: Stack) -> str:
    return stack.outputs()["servers"][0]["address"]


def server_urn(stack: Stack) -> str:
    resources = json.loads(stack.pulumi("stack", "export").stdout)["deployment"]["resources"]
    (urn,) = [resource["urn"] for resource in resources if resource["urn"].endswith(":Machine::https-0")]
    return urn


def shown_certificate(stack: Stack, authority: Authority) -> bytes:
    """The certificate that the server shows, which must be valid for the domain."""
    context = ssl.create_default_context(cadata=authority.issuer)
    with (
        socket.create_connection((address_of(stack), 443), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=DOMAIN) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""
