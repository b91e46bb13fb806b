"""The warning of `make up` about a certificate that ends soon, with a real TLS server."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from components import ssh
from tests.issuer import Issuer
from tools.setup import certificate_check
from tools.setup.site_check import Machine, Site

ISSUER = Issuer.new()
MACHINE = Machine("prod-0", "192.0.2.7", "ssh-ed25519 key", ssh.ADMIN)
OUTPUTS = {"ssh_key": "key", "deploy_key": "key"}


@contextmanager
def site(folder: Path, *, begins: float, ends: float, roots: str = ISSUER.root.pem) -> Iterator[Site]:
    """A site whose certificate's life begins and ends in so many days. It accepts one connection."""
    pair = ISSUER.issue("localhost", begins=begins, ends=ends)
    file = folder / "certificate.pem"
    file.write_text(pair.key_pem + ISSUER.chain(pair))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    listener = socket.create_server(("localhost", 0))

    def serve() -> None:
        # The client may refuse the certificate.
        with suppress(OSError):
            context.wrap_socket(listener.accept()[0], server_side=True).close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Site(f"https://localhost:{listener.getsockname()[1]}/", "/", "localhost", roots=roots)
    finally:
        thread.join()
        listener.close()


def unasked() -> str:
    raise AssertionError("the server was asked")


def test_a_certificate_with_less_than_a_fifth_of_its_life_left_is_named_with_the_servers_last_error(tmp_path: Path):
    with site(tmp_path, begins=-75, ends=15.1) as late:
        text = certificate_check.warning(late, "prod", "prod-0", lambda: "shop.example.org: refused (dns)")
    assert text.splitlines() == [
        f"warning: the certificate of {late.url} ends in 15 days, and wasn't renewed: shop.example.org: refused (dns)",
        "  To see more: bin/ssh --stack prod prod-0 sudo gantry status",
    ]


def test_the_last_day_is_told_in_hours(tmp_path: Path):
    with site(tmp_path, begins=-6, ends=1.01) as late:
        text = certificate_check.warning(late, "prod", "prod-0", lambda: "")
    assert text.startswith(f"warning: the certificate of {late.url} ends in 24 hours, and wasn't renewed\n")


def test_a_good_certificate_is_not_mentioned_and_no_server_is_asked(tmp_path: Path):
    with site(tmp_path, begins=-60, ends=30) as good:
        assert certificate_check.warning(good, "prod", "prod-0", unasked) == ""


def test_a_site_without_https_or_without_a_trusted_certificate_is_left_to_the_check_of_the_site(tmp_path: Path):
    plain = Site("http://localhost:1/", "/", "localhost")
    assert certificate_check.warning(plain, "prod", "prod-0", unasked) == ""
    gone = Site("https://localhost:1/", "/", "localhost")
    assert certificate_check.warning(gone, "prod", "prod-0", unasked) == ""
    with site(tmp_path, begins=-75, ends=1, roots=Issuer.new().root.pem) as untrusted:
        assert certificate_check.warning(untrusted, "prod", "prod-0", unasked) == ""


@pytest.mark.parametrize(
    ("stdout", "expected"),
    [
        (b'{"certificate": {"problem": "the authority is down"}}', "the authority is down"),
        (b'{"certificate": null}', ""),
        (b"{}", ""),
        (b"gantry: command not found", ""),
    ],
)
def test_the_last_error_comes_from_the_status_of_the_server(
    stdout: bytes, expected: str, monkeypatch: pytest.MonkeyPatch
):
    def run(login: ssh.Login, words: list[str], **_options: Any) -> subprocess.CompletedProcess[bytes]:
        assert (login.address, words) == (MACHINE.address, ["sudo", "gantry", "status", "--json"])
        return subprocess.CompletedProcess(words, 0, stdout, b"")

    monkeypatch.setattr(ssh, "run", run)
    assert certificate_check.error_of(MACHINE, OUTPUTS) == expected


def test_a_server_that_cannot_be_reached_has_no_last_error(monkeypatch: pytest.MonkeyPatch):
    def run(*_arguments: Any, **_options: Any) -> subprocess.CompletedProcess[bytes]:
        raise subprocess.TimeoutExpired("ssh", 20)

    monkeypatch.setattr(ssh, "run", run)
    assert certificate_check.error_of(MACHINE, OUTPUTS) == ""
