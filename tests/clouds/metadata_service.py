"""The metadata service of both clouds. It identifies a server by the address that the request comes from."""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.clouds.infrastructure import ServerSpec

ADDRESS = "169.254.169.254"
# Where an instance requires a token (IMDSv2), every request without one is refused.
TOKEN_HEADER, TOKEN_SECONDS_HEADER = "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"

# Placeholder in metadata for the server's own hardware address, which isn't known before it boots.
MAC = "<mac>"

FindServer = Callable[[str], ServerSpec | None]


class MetadataService(ThreadingHTTPServer):
    """Answers on one network. ``find_server`` gives the server at an address; None while its metadata are delayed."""

    daemon_threads = True

    def __init__(self, bridge: str, find_server: FindServer) -> None:
        self.find_server = find_server
        # Server id and expiry, by token.
        self.tokens: dict[str, tuple[str, float]] = {}
        self._bridge = bridge
        super().__init__((ADDRESS, 80), _Handler)
        threading.Thread(target=self.serve_forever, name=f"metadata of {bridge}", daemon=True).start()

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._bridge.encode())
        super().server_bind()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        spec = self._spec()
        if spec is None:
            return self._reply(503, "not yet")
        if self.path != "/latest/api/token" or "latest" not in spec.metadata:
            return self._reply(404, "not found")
        if "X-Forwarded-For" in self.headers:
            return self._reply(403, "a request that came through a proxy gets no token")
        lifetime = self.headers.get(TOKEN_SECONDS_HEADER, "")
        if not lifetime.isdecimal() or not 1 <= int(lifetime) <= 21600:
            return self._reply(400, f"{TOKEN_SECONDS_HEADER} must be from 1 to 21600")
        token = secrets.token_urlsafe(32)
        self._service.tokens[token] = (spec.id, time.monotonic() + int(lifetime))
        self._reply(200, token)

    def do_GET(self) -> None:
        spec = self._spec()
        if spec is None:
            return self._reply(503, "not yet")
        if "latest" not in spec.metadata:
            return self._reply_as_digitalocean(spec)
        if spec.metadata["token_required"] and not self._has_token(spec):
            return self._reply(401, "a token is required")
        # The path begins with a version. Each is answered like the latest.
        words = self.path.strip("/").split("/")[1:]
        if words == ["user-data"]:
            return self._reply(200, spec.user_data) if spec.user_data else self._reply(404, "no user-data")
        self._reply_with_entry(spec.metadata["latest"], words)

    def _reply_as_digitalocean(self, spec: ServerSpec) -> None:
        if self.path == "/metadata/v1.json":
            return self._reply(200, json.dumps(spec.metadata))
        if self.path == "/metadata/v1/user-data":
            return self._reply(200, spec.user_data)
        if self.path.startswith("/metadata/v1/"):
            return self._reply_with_entry(spec.metadata, self.path.strip("/").split("/")[2:])
        self._reply(404, "not found")

    def _reply_with_entry(self, entry: Any, words: list[str]) -> None:
        """Answer with the entry that the words of the path lead to: its text, or the names below it."""
        for word in words:
            if isinstance(entry, list) and word.isdecimal() and int(word) < len(entry):
                entry = entry[int(word)]
            elif isinstance(entry, dict) and word in entry:
                entry = entry[word]
            elif word:
                return self._reply(404, "not found")
        if isinstance(entry, dict):
            lines = [f"{key}/" if isinstance(inner, dict) else key for key, inner in entry.items()]
            return self._reply(200, "\n".join(lines))
        self._reply(200, "\n".join(map(str, entry)) if isinstance(entry, list) else str(entry))

    @property
    def _service(self) -> MetadataService:
        assert isinstance(self.server, MetadataService)
        return self.server

    def _spec(self) -> ServerSpec | None:
        """The server that sent this request."""
        spec = self._service.find_server(self.client_address[0])
        if spec:
            # Routers drop an answer that has crossed too many of them. So a container on the server gets none.
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, spec.hop_limit)
            text = json.dumps(spec.metadata).replace(MAC, _mac_of(self.client_address[0]))
            return replace(spec, metadata=json.loads(text))
        return None

    def _has_token(self, spec: ServerSpec) -> bool:
        id, expiry = self._service.tokens.get(self.headers.get(TOKEN_HEADER, ""), ("", 0.0))
        return id == spec.id and time.monotonic() < expiry

    def _reply(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: the output of the tests is long enough."""


def _mac_of(address: str) -> str:
    rows = [line.split() for line in Path("/proc/net/arp").read_text().splitlines()[1:]]
    return next((row[3] for row in rows if row[0] == address), "")
