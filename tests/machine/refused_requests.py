"""Requests that Nginx refuses before the app sees them, as bytes, and its answers."""

from __future__ import annotations

import http.client
import re
import socket
from dataclasses import dataclass

JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """``title`` is that of the page, and empty if the answer isn't HTML."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def title(self) -> str:
        match = re.search("<title>(.*)</title>", self.text)
        return match[1] if match else ""


def refused(host: str, accept: str = "") -> dict[int, bytes]:
    """A request for each status. ``accept`` is the value of the header Accept, which comes first."""
    first = f"Accept: {accept}\r\n" if accept else ""
    usual = f"{first}Host: {host}\r\n"
    requests = {
        400: f"GET / HTTP/1.1\r\n{first}\r\n",
        413: f"POST /post HTTP/1.1\r\n{usual}Content-Length: 40000000\r\n\r\n",
        414: f"GET /{'a' * 17_000} HTTP/1.1\r\n{usual}\r\n",
        421: f"GET / HTTP/1.1\r\n{first}Host: other.test\r\n\r\n",
        431: f"GET / HTTP/1.1\r\n{usual}Cookie: {'a' * 17_000}\r\n\r\n",
    }
    return {status: request.encode() for status, request in requests.items()}


def request(host: str, path: str = "/", *, method: str = "GET", accept: str = "text/html,*/*") -> bytes:
    """A usual request."""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n".encode()


def answer(address: str, request: bytes, tries: int = 5) -> Answer:
    """What a server answers to these bytes.

    Nginx closes the connection of a request that it hasn't read to the end, and the kernel then resets it. The answer
    is lost if this client hasn't read it by then, so it tries again.
    """
    try:
        return _answer(address, request)
    except (ConnectionResetError, BrokenPipeError):
        if tries == 1:
            raise
        return answer(address, request, tries - 1)


def _answer(address: str, request: bytes) -> Answer:
    with socket.create_connection((address, 80), timeout=20) as connection:
        connection.sendall(request)
        method = request.split(b" ")[0].decode()
        with http.client.HTTPResponse(connection, method=method) as response:
            response.begin()
            return Answer(response.status, response.headers, response.read().decode())
