"""A server that gets certificates from an authority of the test, and visitors that check them."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.x509 import load_der_x509_certificate

from components.settings.common import Settings
from tests.machine.acme_authority import Authority
from tests.machine.clients import Clients, running_clients
from tests.machine.page_app import PageAppServer
from tests.machine.streaming_app import SocketClient, app, socket_clients
from tests.stack import Response
from tests.stack_settings import make_settings

DOMAIN, WWW, SERVED, REDIRECTED = "rocket.test", "www.rocket.test", "rocket.example.test", "shop.example.test"
NAMES = (DOMAIN, WWW, SERVED, REDIRECTED)
# Aliases whose DNS records the tests create later, or only for the server itself.
LATE, REFUSED = "late.example.test", "refused.example.test"
# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python has no name for.
_NO_CHECK_TIME = 0x200000
# The URL that the app sees.
_URL_ROUTE = '\n@app.route("/url")\ndef url():\n    return request.url\n'


@dataclass
class Issue:
    """The result of `gantry certificate`: its JSON on standard output, and its lines on standard error."""

    report: dict[str, Any]
    lines: str


class HttpsServer(PageAppServer):
    """Serves ``page``, the URL that the app sees at /url, and a WebSocket at /echo."""

    page_text = "good"

    @classmethod
    def first_settings(cls, folder: Path) -> Settings:
        aliases = {SERVED: "serve", REDIRECTED: "redirect", LATE: "serve", REFUSED: "serve"}
        return make_settings(health_timeout=8, workers=2, domain=DOMAIN, aliases=aliases, tls="auto")

    def start_app(self) -> None:
        files = app(self.page_text)
        result = self.release({**files, "app.py": files["app.py"] + _URL_ROUTE})
        assert result.exit_code == 0, result.output

    def know_names(self, *names: str) -> None:
        """Let the server itself resolve these names, besides its own, to its address."""
        lines = ["127.0.0.1 localhost", "127.0.1.1 web-0", *(f"{self.spec.address} {name}" for name in names)]
        self.send("".join(f"{line}\n" for line in lines).encode(), "sudo tee /etc/hosts > /dev/null")

    def get_certificate(self, authority: Authority, *names: str) -> Issue:
        """What `up` does at its end."""
        request = {"address": self.spec.address, "directory": authority.directory, "root": authority.root}
        command = self.ssh_command(f"sudo gantry certificate --wait 0 {' '.join(names)}")
        result = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, timeout=200)
        print(result.stderr)
        assert result.returncode == 0, result.stderr
        return Issue(json.loads(result.stdout), result.stderr)

    def renew(self, *options: str) -> tuple[int, str]:
        """What the timer does: the exit status and the output."""
        command = self.ssh_command(f"sudo gantry renew-certificate {' '.join(options)}")
        result = subprocess.run(command, capture_output=True, text=True, timeout=200)
        print(result.stdout, result.stderr)
        return result.returncode, result.stdout + result.stderr

    def restore_certificate(self, archive: dict[str, Any]) -> None:
        """What `up` does on a new server, before its release."""
        self.send(json.dumps(archive).encode(), "sudo gantry restore-certificate")

    def forget_certificate(self) -> None:
        """Delete the certificate, its key and the account, as on a new server."""
        self.script("rm -rf /var/lib/gantry-acme /var/lib/gantry/certificate* && systemctl stop nginx")
        self.configure()
        self.script("systemctl start nginx")

    def http(self, name: str, path: str = "/") -> Response:
        """Send one request over HTTP to this name."""
        return _response(_Connection(self.spec.address, name), path)

    def https(self, name: str, issuer: str, path: str = "/") -> Response:
        """Send one request over HTTPS to this name. Raises ssl.SSLError if the certificate isn't valid for it."""
        return _response(_Connection(self.spec.address, name, context_of(issuer)), path)

    def serial(self) -> int:
        """The serial number of the certificate that the server shows."""
        with (
            socket.create_connection((self.spec.address, 443), timeout=10) as connection,
            without_check().wrap_socket(connection, server_hostname=DOMAIN) as secure,
        ):
            certificate = secure.getpeercert(binary_form=True)
        assert certificate
        return load_der_x509_certificate(certificate).serial_number

    def http_clients(self) -> AbstractContextManager[Clients]:
        """Clients of the site's own name that send requests while the block runs. They accept a redirect to HTTPS."""
        connection = partial(_Connection, self.spec.address, DOMAIN)
        return running_clients(self.spec.address, connection=connection, accepted=(200, 308))

    def https_clients(self, issuer: str) -> AbstractContextManager[Clients]:
        """Clients of the site's own name that trust only this authority."""
        connection = partial(_Connection, self.spec.address, DOMAIN, context_of(issuer))
        return running_clients(self.spec.address, ("/", "/post"), connection)

    def https_sockets(self, issuer: str, count: int) -> AbstractContextManager[list[SocketClient]]:
        """The same with a WebSocket each."""
        options = {"ssl": context_of(issuer), "address": (self.spec.address, 443)}
        return socket_clients(f"wss://{DOMAIN}/echo", count, **options)


class _Connection(http.client.HTTPConnection):
    """Connects to an address, and asks for a name there. With a ``context``, it uses HTTPS."""

    def __init__(self, address: str, name: str, context: ssl.SSLContext | None = None) -> None:
        super().__init__(name, timeout=30)
        self._address, self._context = address, context

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, 443 if self._context else 80), 30)
        if self._context:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


def without_check() -> ssl.SSLContext:
    """Accepts any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def context_of(issuer: str) -> ssl.SSLContext:
    """Trusts only what this certificate (PEM) has issued, also after its end: a test of short ones may be slow."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=issuer)
    context.verify_flags |= _NO_CHECK_TIME
    return context


def _response(connection: http.client.HTTPConnection, path: str) -> Response:
    with closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return Response(response.status, dict(response.getheaders()), response.read().decode())
