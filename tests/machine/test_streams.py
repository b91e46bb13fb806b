"""WebSockets and event streams: they pass Nginx, and clients come back after a release."""

from __future__ import annotations

import http.client
import time
from contextlib import closing

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.machine.page_app import PageAppServer
from tests.machine.streaming_app import app, socket_clients

pytestmark = pytest.mark.machine
SERVER_CLASS = PageAppServer
# A web process is told to stop when no client is connected, at the latest after 30 s, and killed 40 s later.
CUT_SECONDS = 75


@pytest.mark.parametrize(("web_server", "releases"), [("gunicorn", 10), ("uvicorn", 2)])
def test_over_releases_clients_with_websockets_are_back_at_once_and_no_request_fails(
    server: PageAppServer, web_server: str, releases: int
):
    assert server.release(app("0", web_server)).exit_code == 0
    with socket_clients(f"ws://{server.spec.address}/echo", 6) as sockets, server.clients() as clients:
        server.wait_until(lambda: all(socket.messages for socket in sockets), "the WebSockets")
        for page in range(1, releases + 1):
            result = server.release(app(str(page), web_server))
            assert result.exit_code == 0, result.output
        start = time.monotonic()
        server.wait_until(
            lambda: {socket.page for socket in sockets} == {str(releases)}, "all on the new release", CUT_SECONDS
        )
        print(f"{web_server}: on the new release after {time.monotonic() - start:.1f} s")
        time.sleep(0.5)
    assert not clients.failures
    assert [socket.refusals for socket in sockets] == [[]] * 6
    gaps = [gap for socket in sockets for gap in socket.gaps]
    print(f"{web_server}: {len(gaps)} reconnects, the longest after {max(gaps):.2f} s")
    assert len(gaps) >= 6
    assert max(gaps) < 2


def test_nothing_but_a_websocket_takes_over_a_connection(server: PageAppServer):
    assert server.release(app("good")).exit_code == 0
    for headers in ({"Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA"}, {"Upgrade": "websocketx"}, {}):
        assert answer(server, "/upgrade", {"Connection": "Upgrade, HTTP2-Settings", **headers})[1] == "None None"


def test_a_silent_websocket_is_closed_after_its_time_and_one_with_pings_stays(server: PageAppServer):
    server.change_settings(socket_timeout=2)
    server.configure()
    try:
        assert server.release(app("good")).exit_code == 0
        url = f"ws://{server.spec.address}/echo"
        with connect(url, proxy=None, ping_interval=1) as busy, connect(url, proxy=None, ping_interval=None) as silent:
            start = time.monotonic()
            with pytest.raises(ConnectionClosed):
                while True:
                    silent.recv(timeout=10)
            assert 1.5 < time.monotonic() - start < 6
            time.sleep(1)
            busy.send("still here")
            assert [busy.recv(timeout=10) for _ in range(2)] == ["good", "still here"]
    finally:
        server.change_settings(socket_timeout=60)
        server.configure()


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/events", {"Accept": "text/event-stream"}), ("/events?X-Accel-Buffering=no", {})],
)
def test_events_arrive_when_they_are_sent(server: PageAppServer, path: str, headers: dict[str, str]):
    assert server.release(app("good")).exit_code == 0
    seconds, text = answer(server, path, headers)
    assert text == "".join(f"data: {number}\n\n" for number in range(4))
    assert seconds < 2


def answer(server: PageAppServer, path: str, headers: dict[str, str]) -> tuple[float, str]:
    """Seconds until the first byte of the body, and the body."""
    with closing(http.client.HTTPConnection(server.spec.address, timeout=20)) as connection:
        start = time.monotonic()
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        first = response.read(1)
        seconds = time.monotonic() - start
        return seconds, (first + response.read()).decode()
