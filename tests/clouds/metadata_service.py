"""The metadata service of both clouds, which knows a machine by the address that asks."""

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

from tests.clouds.infrastructure import Boot

ADDRESS = "169.254.169.254"
# What `requires a token` means: without one, nothing is told.
TOKEN, TOKEN_SECONDS = "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"

# Stands in metadata for the hardware address of the machine that asks: nobody knows it beforehand.
MAC = "<mac>"

Find = Callable[[str], Boot | None]


class Service(ThreadingHTTPServer):
    """Answers on one network; ``find`` tells which machine has an address, or None while its metadata are late."""

    daemon_threads = True

    def __init__(self, bridge: str, find: Find) -> None:
        self.find = find
        self.tokens: dict[str, tuple[str, float]] = {}
        self._bridge = bridge
        super().__init__((ADDRESS, 80), _Answer)
        threading.Thread(target=self.serve_forever, name=f"metadata of {bridge}", daemon=True).start()

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._bridge.encode())
        super().server_bind()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        boot = self._boot()
        if boot is None:
            return self._say(503, "not yet")
        if self.path != "/latest/api/token" or "latest" not in boot.metadata:
            return self._say(404, "no such thing")
        if "X-Forwarded-For" in self.headers:
            return self._say(403, "a token is not for who asks through a proxy")
        lifetime = self.headers.get(TOKEN_SECONDS, "")
        if not lifetime.isdecimal() or not 1 <= int(lifetime) <= 21600:
            return self._say(400, f"{TOKEN_SECONDS} must be from 1 to 21600")
        token = secrets.token_urlsafe(32)
        self._service.tokens[token] = (boot.id, time.monotonic() + int(lifetime))
        self._say(200, token)

    def do_GET(self) -> None:
        boot = self._boot()
        if boot is None:
            return self._say(503, "not yet")
        if "latest" not in boot.metadata:
            return self._droplet(boot)
        if boot.metadata["token_required"] and not self._has_token(boot):
            return self._say(401, "a token is required")
        # The version comes first; all are answered as the latest.
        words = self.path.strip("/").split("/")[1:]
        if words == ["user-data"]:
            return self._say(200, boot.user_data) if boot.user_data else self._say(404, "no user-data")
        self._walk(boot.metadata["latest"], words)

    def _droplet(self, boot: Boot) -> None:
        if self.path == "/metadata/v1.json":
            return self._say(200, json.dumps(boot.metadata))
        if self.path == "/metadata/v1/user-data":
            return self._say(200, boot.user_data)
        if self.path.startswith("/metadata/v1/"):
            return self._walk(boot.metadata, self.path.strip("/").split("/")[2:])
        self._say(404, "no such thing")

    def _walk(self, found: Any, words: list[str]) -> None:
        for word in words:
            if isinstance(found, list) and word.isdecimal() and int(word) < len(found):
                found = found[int(word)]
            elif isinstance(found, dict) and word in found:
                found = found[word]
            elif word:
                return self._say(404, "no such thing")
        if isinstance(found, dict):
            lines = [f"{key}/" if isinstance(inner, dict) else key for key, inner in found.items()]
            return self._say(200, "\n".join(lines))
        self._say(200, "\n".join(map(str, found)) if isinstance(found, list) else str(found))

    @property
    def _service(self) -> Service:
        assert isinstance(self.server, Service)
        return self.server

    def _boot(self) -> Boot | None:
        boot = self._service.find(self.client_address[0])
        if boot:
            # An answer that crosses one router too many never arrives: what is in a container there learns nothing.
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, boot.hop_limit)
            known = json.dumps(boot.metadata).replace(MAC, _mac_of(self.client_address[0]))
            return replace(boot, metadata=json.loads(known))
        return None

    def _has_token(self, boot: Boot) -> bool:
        id, until = self._service.tokens.get(self.headers.get(TOKEN, ""), ("", 0.0))
        return id == boot.id and time.monotonic() < until

    def _say(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests have enough to read."""


def _mac_of(address: str) -> str:
    rows = [line.split() for line in Path("/proc/net/arp").read_text().splitlines()[1:]]
    return next((row[3] for row in rows if row[0] == address), "")
