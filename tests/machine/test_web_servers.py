"""Web processes other than Gunicorn, on a real server: they start, are replaced, crash and stop as Gunicorn does."""

from __future__ import annotations

import time

import pytest

from tests.machine.page_app import PageAppServer, app, tarball

pytestmark = pytest.mark.machine
SERVER_CLASS = PageAppServer

# The app's own web server. It reads the socket's path from the variable itself, and ends at once at SIGTERM.
OWN_SERVER = """
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


def app_with(web_server: str, page: str) -> dict[str, str]:
    """The app served by Waitress, or by its own web server."""
    files = app(page)
    if web_server == "waitress":
        command = "waitress-serve --unix-socket=$GANTRY_SOCKET --threads=16 app:app"
        return {**files, "Procfile": f"web: {command}\n", "requirements.txt": "flask\nwaitress\n"}
    return {**files, "Procfile": "web: python serve.py\n", "serve.py": OWN_SERVER}


@pytest.mark.parametrize("web_server", ["waitress", "own"])
def test_another_web_server_takes_over_and_is_replaced_without_a_failed_request(server: PageAppServer, web_server: str):
    server.serve("by gunicorn")
    with server.clients(("/", "/", "/post", "/slow", "/slow")) as clients:
        time.sleep(1)
        for page in ("one", "two"):
            result = server.release(app_with(web_server, page), watch=1)
            assert result.exit_code == 0, result.output
            time.sleep(1)
        server.serve("by gunicorn")
        time.sleep(1)
    assert not clients.failures
    assert {"by gunicorn", "one", "two"} <= set(clients.pages)


def test_in_flight_requests_are_answered_although_the_web_server_ends_at_once(server: PageAppServer):
    assert server.release(app_with("own", "old")).exit_code == 0
    with server.clients(("/slow",) * 4) as clients:
        time.sleep(1)
        server.serve("by gunicorn")
    assert not clients.failures
    assert clients.pages["old"] >= 4


def test_a_crashed_web_server_is_restarted_and_accepts_connections_from_nginx(server: PageAppServer):
    assert server.release(app_with("waitress", "by waitress")).exit_code == 0
    server.ssh("sudo systemctl kill --signal=SIGKILL 'gantry-web@*'")
    server.wait_until_responding(30)
    assert server.page() == "by waitress"


def test_a_web_server_that_does_not_start_fails_the_release_with_its_cause_and_the_old_one_serves(
    server: PageAppServer,
):
    server.serve("good")
    broken = server.upload(tarball(app_with("waitress", "broken") | {"app.py": "import numpy\n"}))
    with server.clients() as clients:
        result = server.run_release(broken)
        server.assert_still_serves("good", result, "No module named 'numpy'", "the web process has ended")
    assert not clients.failures
    assert len(server.deployments()) == 1
    assert broken not in server.ssh("ls /etc/systemd/system")


def test_after_a_reboot_the_web_server_serves_again(server: PageAppServer):
    assert server.release(app_with("waitress", "by waitress")).exit_code == 0
    server.reboot()
    server.wait_until_responding(60)
    assert server.page() == "by waitress"
