"""A Socket.IO client that polls over HTTP, and connects again when its session ends.

The protocols: https://socket.io/docs/v4/engine-io-protocol/ and https://socket.io/docs/v4/socket-io-protocol/
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise

ENDPOINT = "/socket.io/?EIO=4&transport=polling"
# The official clients wait between 0.5 and 1.5 s before they connect again.
RECONNECT_SECONDS = 0.5
SEPARATOR = "\x1e"


class SessionEnded(Exception):
    """The server doesn't know the session."""


@dataclass
class PollingClient:
    """Asks for the app's version all the time. ``answers`` has the time and the text of each answer."""

    address: str
    answers: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    sessions: int = 0

    def run(self, end: threading.Event) -> None:
        """Keep a session and ask until ``end``."""
        while not end.is_set():
            with suppress(SessionEnded, OSError, http.client.HTTPException):
                self._hold_session(end)
            end.wait(RECONNECT_SECONDS)

    def longest_pause(self) -> float:
        """The most seconds between two answers."""
        times = [when for when, _ in self.answers]
        return max(later - earlier for earlier, later in pairwise(times))

    def _hold_session(self, end: threading.Event) -> None:
        session = json.loads(self._request("GET", ENDPOINT)[1:])["sid"]
        path = f"{ENDPOINT}&sid={session}"
        self._request("POST", path, "40")
        self._packet(path, "40")
        self.sessions += 1
        while not end.wait(0.1):
            self._request("POST", path, '420["version"]')
            answer = self._packet(path, "430")
            self.answers.append((time.monotonic(), json.loads(answer.removeprefix("430"))[0]))

    def _packet(self, path: str, kind: str) -> str:
        """Poll until there is a packet of this kind. The server's pings are answered."""
        while True:
            for packet in self._request("GET", path).split(SEPARATOR):
                if packet == "2":
                    self._request("POST", path, "3")
                elif packet.startswith(kind):
                    return packet

    def _request(self, method: str, path: str, body: str | None = None) -> str:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request(method, path, body, {"Content-Type": "text/plain"} if body else {})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            raise SessionEnded(f"{response.status}: {text}")
        return text


@contextmanager
def polling_client(address: str) -> Iterator[PollingClient]:
    """A client that runs while the block does."""
    client, end = PollingClient(address), threading.Event()
    thread = threading.Thread(target=client.run, args=(end,), daemon=True)
    thread.start()
    try:
        yield client
    finally:
        end.set()
        thread.join(40)
