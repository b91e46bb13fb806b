"""Web servers on a socket or a port, on a real server: they start, are replaced, crash and stop as Gunicorn does."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests import packed_app
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


# The app as a program of another language. It stops as Go's documentation shows: requests that have begun are answered.
GO_SERVER = """
package main

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	page := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(5 * time.Second)
		}
		w.Write([]byte("PAGE"))
	}
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: http.HandlerFunc(page)}
	stop, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	go server.ListenAndServe()
	<-stop.Done()
	server.Shutdown(context.Background())
}
"""
MAIN = '\nif __name__ == "__main__":\n    app.run(host="0.0.0.0", port=int(os.environ.get("PORT", 5000)))\n'
# The lines of Procfiles, with the packages that they need.
LINES = {
    "waitress": ("waitress-serve --unix-socket=$GANTRY_SOCKET --threads=16 app:app", "waitress"),
    "own": ("python serve.py", ""),
    "gunicorn on a port": ("gunicorn -b 0.0.0.0:$PORT app:app", ""),
    "waitress on a port, below a shell": (
        "waitress-serve --port=${PORT:-5000} --threads=16 app:app; exit $?",
        "waitress",
    ),
    "hypercorn on an IPv6 port": ("hypercorn app:app --bind [::]:$PORT", "hypercorn"),
    "development server": ("python app.py", ""),
    "go": ("./server", ""),
}


def app_with(web_server: str, page: str) -> dict[str, str]:
    """The app served by one of ``LINES``."""
    files = app(page)
    command, package = LINES[web_server]
    files |= {"Procfile": f"web: {command}\n", "requirements.txt": f"flask\n{package}\n", "serve.py": OWN_SERVER}
    return {**files, "app.py": files["app.py"] + MAIN}


def packed(web_server: str, page: str, folder: Path) -> bytes:
    """The same as a tarball; for Go, with the program that the test builds in ``folder``."""
    if web_server != "go":
        return tarball(app_with(web_server, page))
    if shutil.which("go") is None:
        pytest.skip("Go isn't installed, which builds the server")
    folder /= page
    folder.mkdir()
    (folder / "main.go").write_text(GO_SERVER.replace("PAGE", page))
    command = ["go", "build", "-ldflags=-s -w", "-o", "server", "main.go"]
    subprocess.run(command, cwd=folder, env={**os.environ, "CGO_ENABLED": "0"}, check=True)
    (folder / "Procfile").write_text("web: ./server\n")
    (folder / "requirements.txt").touch()
    return packed_app.packed(folder)


@pytest.mark.parametrize("web_server", LINES)
def test_another_web_server_takes_over_and_is_replaced_without_a_failed_request(
    server: PageAppServer, web_server: str, tmp_path: Path
):
    tarballs = {page: packed(web_server, page, tmp_path) for page in ("one", "two")}
    server.serve("by gunicorn")
    with server.clients(("/", "/", "/post", "/slow", "/slow")) as clients:
        time.sleep(1)
        for page in tarballs:
            result = server.run_release(server.upload(tarballs[page]), watch=1)
            assert result.exit_code == 0, result.output
            time.sleep(1)
        server.serve("by gunicorn")
        time.sleep(1)
    assert not clients.failures
    assert {"by gunicorn", "one", "two"} <= set(clients.pages)


def port_of(server: PageAppServer) -> int:
    """The port of the deployment that serves."""
    return int(server.ssh("sudo cat /var/lib/gantry/current/port").strip().removeprefix("PORT="))


def test_only_nginx_and_the_app_reach_the_port(server: PageAppServer):
    result = server.release(app_with("development server", "on a port"))
    assert result.exit_code == 0, result.output
    assert "warning: a development server for one person answers, Flask's development server" in result.output
    port = port_of(server)
    request = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/').read().decode())"

    def answer(user: str) -> str:
        command = f'sudo setpriv --reuid={user} --regid=nogroup --clear-groups python3 -c "{request}" 2>&1 | tail -1'
        return server.ssh(command)

    assert answer("app") == "on a port"
    for user in ("nobody", "www-data", "deploy"):
        assert "Connection refused" in answer(user), user
    with pytest.raises(TimeoutError):
        socket.create_connection((server.spec.address, port), timeout=1)
    assert server.page() == "on a port"


@pytest.mark.parametrize("units", ["gantry-web@", "gantry-port@"])
def test_after_a_kill_of_the_server_or_of_the_forwarding_requests_are_answered_again(server: PageAppServer, units: str):
    assert server.release(app_with("gunicorn on a port", "on a port")).exit_code == 0
    server.ssh(f"sudo systemctl kill --signal=SIGKILL '{units}*'")
    server.wait_until_responding(30)
    assert server.page() == "on a port"


def test_a_drained_deployment_leaves_no_unit_and_no_socket_behind(server: PageAppServer):
    assert server.release(app_with("gunicorn on a port", "on a port")).exit_code == 0
    server.serve("by gunicorn")
    server.wait_until(lambda: len(server.deployments()) == 1, "the old deployment to end")
    server.serve("another one")
    server.wait_until(lambda: len(server.deployments()) == 1, "the old deployment to end")
    assert server.ssh("systemctl list-units --all --plain --no-legend 'gantry-port@*'") == ""
    assert server.ssh("sudo ls /run/gantry").split() == [f"{server.deployment()}.sock"]


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
    assert server.release(app_with("waitress on a port, below a shell", "by waitress")).exit_code == 0
    port = port_of(server)
    server.reboot()
    server.wait_until_responding(60)
    assert server.page() == "by waitress"
    assert port_of(server) == port


# What an earlier version wrote for a web server other than Gunicorn, into the units and into the deployment's folder.
OLD_DEPLOYMENT = """
name=$(basename $(readlink /var/lib/gantry/current))
folder=/opt/gantry/instances/$name
rm $folder/port
printf '#!/bin/sh\\nexec /usr/bin/env waitress-serve --unix-socket=$GANTRY_SOCKET app:app\\n' > $folder/web
mkdir -p /etc/systemd/system/gantry-web@$name.service.d
cat > /etc/systemd/system/gantry-web@$name.service.d/listener.conf <<'END'
[Service]
Type=exec
ExecStartPre=rm -f /run/gantry/%i.sock
ExecStartPost=/usr/local/bin/gantry wait-until-listening %i $MAINPID
ExecStop=/usr/local/bin/gantry wait-until-idle %i
END
systemctl daemon-reload
systemctl kill --signal=SIGKILL gantry-web@$name
"""


def test_a_deployment_of_an_earlier_version_starts_again_and_is_replaced(server: PageAppServer):
    assert server.release(app_with("waitress", "by waitress")).exit_code == 0
    server.script(OLD_DEPLOYMENT)
    server.wait_until_responding(30)
    assert server.page() == "by waitress"
    with server.clients() as clients:
        server.serve("by gunicorn")
    assert not clients.failures
    server.wait_until(lambda: len(server.deployments()) == 1, "the old deployment to end")
    server.serve("another one")
    assert server.ssh("ls -d /etc/systemd/system/gantry-web@*.service.d", check=False) == ""
