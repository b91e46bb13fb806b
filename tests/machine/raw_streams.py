"""A WebSocket and an event stream for a Flask app on Gunicorn that has no package for them, and requests to both."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing

from websockets.sync.client import connect

# Seconds between two events.
PAUSE_SECONDS = 2
# The frame 81 05 is a text of five bytes: https://www.rfc-editor.org/rfc/rfc6455#section-5.2
ROUTES = f"""

@app.route("/socket", websocket=True)
def one_message():
    import base64, hashlib
    from flask import request
    key = request.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest())
    connection = request.environ["gunicorn.socket"]
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n")
    connection.sendall(b"Sec-WebSocket-Accept: " + accept + b"\\r\\n\\r\\n\\x81\\x05hello")
    connection.recv(1024)
    return ""


@app.route("/events")
def events():
    import time
    from flask import request
    def lines():
        yield "data: 0\\n\\n"
        time.sleep({PAUSE_SECONDS})
        yield "data: 1\\n\\n"
    return lines(), 200, dict(request.args)
"""


def assert_streams_pass(address: str, *, host: str, port: int = 80) -> None:
    """A WebSocket opens, and events arrive when they are sent."""
    connection = socket.create_connection((address, port), timeout=10)
    with connect(f"ws://{host}/socket", sock=connection, proxy=None) as websocket:
        assert websocket.recv(timeout=10) == "hello"
    for path, headers in (("/events", {"Accept": "text/event-stream"}), ("/events?X-Accel-Buffering=no", {})):
        with closing(http.client.HTTPConnection(address, port, timeout=20)) as connection:
            start = time.monotonic()
            connection.request("GET", path, headers={"Host": host, **headers})
            response = connection.getresponse()
            first = response.read(9)
            assert time.monotonic() - start < PAUSE_SECONDS - 0.5, path
            assert first + response.read() == b"data: 0\n\ndata: 1\n\n"
