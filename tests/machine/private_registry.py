"""A package registry on a server itself, which wants a login. It has one package: ``lib``, version 1."""

from __future__ import annotations

import io
import zipfile

from tests.machine.booted_server import BootedServer

USER, PASSWORD, PORT = "me", "hunter2-hunter2", 8420
ADDRESS = f"localhost:{PORT}/simple"
_WHEEL = "lib-1-py3-none-any.whl"
_SCRIPT = f"""
import base64, http.server

LOGIN = "Basic " + base64.b64encode(b"{USER}:{PASSWORD}").decode()
WHEEL = open("/tmp/{_WHEEL}", "rb").read()


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.headers["Authorization"] != LOGIN:
            self.answer(401, b"")
        elif self.path == "/simple/lib/":
            self.answer(200, b'<a href="/{_WHEEL}">{_WHEEL}</a>')
        elif self.path == "/{_WHEEL}":
            self.answer(200, WHEEL)
        else:
            self.answer(404, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("WWW-Authenticate", "Basic")
        self.send_header("Content-Type", "text/html" if body[:1] == b"<" else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET


http.server.ThreadingHTTPServer(("localhost", {PORT}), Registry).serve_forever()
"""


def serve(server: BootedServer) -> None:
    """Start the registry, which runs until the server's end."""
    server.send(_wheel(), f"cat > /tmp/{_WHEEL}")
    server.send(_SCRIPT.encode(), "cat > /tmp/registry.py")
    server.ssh("sudo systemd-run --quiet --unit=registry python3 /tmp/registry.py")
    server.wait_until(lambda: f":{PORT}" in server.ssh("ss -ltn"), "the registry", 10)


def _wheel() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("lib.py", "")
        wheel.writestr("lib-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: lib\nVersion: 1\n")
        wheel.writestr("lib-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("lib-1.dist-info/RECORD", "")
    return file.getvalue()
