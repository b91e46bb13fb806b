"""Web processes that aren't Gunicorn, on a real server: they come, are replaced, crash and go as Gunicorn does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.local import launch
from tests.machine.page_app import Server, app, booted, same, tarball, visited

pytestmark = pytest.mark.machine

# Of the app's own: it reads the variable by itself, and ends at once when it is told to.
OWN = """
import os, socketserver
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler
from app import app

class Handler(WSGIRequestHandler):
    def address_string(self):
        return "nginx"

class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads, request_queue_size = True, 128
    server_name, server_port, base_environ = "shop", 80, {"SCRIPT_NAME": "", "SERVER_NAME": "shop", "SERVER_PORT": "80",
        "GATEWAY_INTERFACE": "CGI/1.1", "REMOTE_HOST": "", "CONTENT_LENGTH": ""}

    def get_app(self):
        return app

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("nginx", 0)

Server(os.environ["GANTRY_SOCKET"], Handler).serve_forever()
"""


def served_by(page: str, name: str) -> dict[str, str]:
    files = app(page)
    if name == "waitress":
        command = "waitress-serve --unix-socket=$GANTRY_SOCKET --threads=16 app:app"
        return {**files, "Procfile": f"web: {command}\n", "requirements.txt": "flask\nwaitress\n"}
    return {**files, "Procfile": "web: python serve.py\n", "serve.py": OWN}


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path) -> Iterator[Server]:
    with booted(ssh_key) as server:
        yield server


@pytest.mark.parametrize("name", ["waitress", "own"])
def test_another_web_server_takes_over_and_is_replaced_without_a_failed_request(server: Server, name: str):
    server.serve("by gunicorn")
    with visited(server, ("/", "/", "/post", "/slow", "/slow")) as visitors:
        time.sleep(1)
        for page in ("one", "two"):
            outcome = server.release(served_by(page, name), watch=1)
            assert outcome.code == 0, outcome.said
            time.sleep(1)
        server.serve("by gunicorn")
        time.sleep(1)
    assert not visitors.failures
    assert {"by gunicorn", "one", "two"} <= set(visitors.pages)


def test_in_flight_requests_are_answered_although_the_web_server_ends_at_once(server: Server):
    assert server.release(served_by("old", "own")).code == 0
    with visited(server, ("/slow",) * 4) as visitors:
        time.sleep(1)
        server.serve("by gunicorn")
    assert not visitors.failures
    assert visitors.pages["old"] >= 4


def test_a_crashed_web_server_is_restarted_and_accepts_connections_from_nginx(server: Server):
    assert server.release(served_by("by waitress", "waitress")).code == 0
    server.ssh("sudo systemctl kill --signal=SIGKILL 'gantry-web@*'")
    launch.wait_until(server.answers, "the site", 30)
    assert server.page() == "by waitress"


def test_a_web_server_that_does_not_start_fails_the_release_with_its_cause_and_the_old_one_serves(server: Server):
    server.serve("good")
    broken = server.upload(tarball(served_by("broken", "waitress") | {"app.py": "import numpy\n"}))
    with visited(server) as visitors:
        same(server, "good", server.run(broken), "No module named 'numpy'", "the web process has ended")
    assert not visitors.failures
    assert len(server.instances()) == 1
    assert broken not in server.ssh("ls /etc/systemd/system")


def test_after_a_reboot_the_web_server_serves_again(server: Server):
    assert server.release(served_by("by waitress", "waitress")).code == 0
    server.reboot()
    launch.wait_until(server.answers, "the site", 60)
    assert server.page() == "by waitress"
