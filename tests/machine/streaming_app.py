"""An app with a WebSocket and an event stream, and clients that keep WebSockets open over releases."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from tests.machine.clients import running_threads

# Between two messages of a client, and between two attempts to connect.
PAUSE_SECONDS = 0.1
_ON_GUNICORN = """
import time
from flask import Flask, Response, request
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)

@app.route("/")
@app.route("/healthz")
@app.route("/post", methods=["POST"])
def page():
    return "PAGE"

@sock.route("/echo")
def echo(socket):
    socket.send("PAGE")
    while True:
        socket.send(socket.receive())

@app.route("/upgrade")
def upgrade():
    return f"{request.headers.get('Upgrade')} {request.headers.get('Connection')}"

@app.route("/events")
def events():
    def lines():
        for number in range(4):
            yield f"data: {number}\\n\\n"
            time.sleep(1)
    return Response(lines(), mimetype="text/event-stream", headers=dict(request.args))
"""
_ON_UVICORN = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

async def page(request):
    return PlainTextResponse("PAGE")

async def echo(socket):
    await socket.accept()
    await socket.send_text("PAGE")
    async for text in socket.iter_text():
        await socket.send_text(text)

routes = [Route("/", page), Route("/healthz", page), Route("/post", page, methods=["POST"])]
routes.append(WebSocketRoute("/echo", echo))
app = Starlette(routes=routes)
"""
_FILES = {
    "gunicorn": (_ON_GUNICORN, "web: gunicorn --threads 12 app:app\n", "flask\nflask-sock\n"),
    "uvicorn": (_ON_UVICORN, "web: uvicorn --uds $GANTRY_SOCKET app:app\n", "starlette\nuvicorn\nwebsockets\n"),
}


def app(page: str, web_server: str = "gunicorn") -> dict[str, str]:
    """The files of the app on Gunicorn or uvicorn. A WebSocket at /echo first sends the page."""
    source, procfile, requirements = _FILES[web_server]
    return {"app.py": source.replace("PAGE", page), "Procfile": procfile, "requirements.txt": requirements}


@dataclass
class SocketClient:
    """Keeps one WebSocket open, sends messages all the time, and connects again when the WebSocket is closed."""

    url: str
    # Arguments of ``connect``.
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    page: str = ""
    messages: int = 0
    # Seconds from the end of each connection to the first message on the next one; the errors of failed attempts.
    gaps: list[float] = field(default_factory=list[float])
    refusals: list[str] = field(default_factory=list[str])

    def run(self, end: threading.Event) -> None:
        closed_at: float | None = None
        while not end.is_set():
            try:
                with connect(self.url, proxy=None, open_timeout=10, **self.options) as socket:
                    self.page = str(socket.recv(timeout=10))
                    if closed_at is not None:
                        self.gaps.append(time.monotonic() - closed_at)
                    self._exchange(socket, end)
            except (InvalidHandshake, OSError) as error:
                self.refusals.append(repr(error))
                end.wait(PAUSE_SECONDS)
            except ConnectionClosed:
                closed_at = time.monotonic()

    def _exchange(self, socket: ClientConnection, end: threading.Event) -> None:
        while not end.wait(PAUSE_SECONDS):
            text = f"message {self.messages}"
            socket.send(text)
            assert socket.recv(timeout=10) == text
            self.messages += 1


@contextmanager
def socket_clients(url: str, count: int, **options: Any) -> Iterator[list[SocketClient]]:
    """Clients with one WebSocket each, open while the block runs. ``options`` are arguments of ``connect``."""
    clients = [SocketClient(url, options) for _ in range(count)]
    with running_threads([client.run for client in clients]):
        yield clients
