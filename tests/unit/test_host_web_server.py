"""What systemd calls when it starts and stops a web process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from host import listening, ports, systemd, web_server
from host.deployment import Deployment, Folders, remove, write_files
from host.errors import ReleaseError
from host.paths import Paths

TABLE = """Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 41 /run/gantry/a.sock
0000000000000000: 00000003 00000000 00000000 0001 03 42 /run/gantry/a.sock
0000000000000000: 00000002 00000000 00000000 0001 02 0 /run/gantry/a.sock
0000000000000000: 00000003 00000000 00000000 0001 03 43
0000000000000000: 00000003 00000000 00000000 0001 03 44 /run/gantry/b.sock
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "run/gantry").mkdir(parents=True)
    return Paths(tmp_path)


@pytest.fixture
def server(paths: Paths) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(paths.deployment_socket("a")))
        yield server


def test_connections_are_counted_without_the_listening_socket():
    assert web_server.connections(TABLE, {"/run/gantry/a.sock"}) == 2
    assert web_server.connections(TABLE, {"/run/gantry/c.sock"}) == 0


def test_once_the_web_process_listens_nginx_may_connect(paths: Paths, server: socket.socket):
    paths.deployment_socket("a").chmod(0o600)
    began = time.monotonic()
    threading.Timer(0.2, server.listen).start()
    web_server.wait_until_listening(paths, "a", os.getpid())
    assert time.monotonic() - began >= 0.2
    assert paths.deployment_socket("a").stat().st_mode & 0o777 == 0o660


def test_a_link_of_the_app_in_place_of_its_socket_changes_no_other_file(paths: Paths, server: socket.socket):
    server.listen()
    socket_of_another = paths.deployment_socket("a")
    socket_of_another.chmod(0o640)
    paths.deployment_socket("b").symlink_to(socket_of_another)
    web_server.wait_until_listening(paths, "b", os.getpid())
    assert socket_of_another.stat().st_mode & 0o777 == 0o640


@contextmanager
def web_process(folder: Path, script: str) -> Iterator[int]:
    """A Python process in a control group of its own, as far as ``listening`` can tell; returns its id."""
    process = subprocess.Popen([sys.executable, "-c", f"import socket, time\n{script}"], cwd=folder)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runner, which is in the same control group, isn't part of the unit."""
    monkeypatch.setattr(listening.Group, "of", lambda process: listening.Group((process,)))


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("script", "place"),
    [
        ("server = socket.create_server(('0.0.0.0', 8765)); time.sleep(99)", "port 8765"),
        ("server = socket.socket(socket.AF_UNIX); server.bind('own'); server.listen(); time.sleep(99)", "own"),
    ],
)
def test_a_process_that_serves_elsewhere_fails_within_seconds_with_the_line_to_write(
    paths: Paths, tmp_path: Path, script: str, place: str
):
    ports.assign(paths, paths.deployments / "a")
    began = time.monotonic()
    with (
        web_process(tmp_path, script) as process,
        pytest.raises(
            ReleaseError, match=rf"listens on {place}, but must .*web: gunicorn -b 0\.0\.0\.0:\$PORT app:app"
        ),
    ):
        web_server.wait_until_listening(paths, "a", process)
    assert time.monotonic() - began < 8


@pytest.mark.usefixtures("alone")
def test_a_process_that_opens_another_port_and_still_works_gets_its_time(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(systemd, "systemctl", lambda *words: (calls.append(words), SimpleNamespace(returncode=0))[1])
    port = ports.assign(paths, paths.deployments / "a")
    script = f"""
metrics = socket.create_server(("127.0.0.1", 0))
end = time.monotonic() + 4
while time.monotonic() < end: pass
server = socket.create_server(("0.0.0.0", {port}))
time.sleep(99)"""
    with web_process(tmp_path, script) as process:
        web_server.wait_until_listening(paths, "a", process)
    assert calls[-1] == ("start", "gantry-port@a.socket")
    assert web_server.forward_file(paths, "a").read_text() == f"TARGET=127.0.0.1:{port}\n"
    assert paths.deployment_socket("a").readlink() == paths.port_socket("a")
    web_server.remove_files(paths, "a")
    assert not paths.deployment_socket("a").is_symlink()


def test_the_wait_fails_at_once_when_the_web_process_has_ended(paths: Paths):
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(ReleaseError, match="has ended"):
        web_server.wait_until_listening(paths, "a", ended.pid)


def test_a_server_that_an_ended_web_process_left_behind_does_not_count(paths: Paths, server: socket.socket):
    server.listen()
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(ReleaseError, match="programs that it started still run: they must stay in the foreground"):
        web_server.wait_until_listening(paths, "a", ended.pid)


def test_a_web_process_is_idle_when_its_last_connection_has_ended(paths: Paths, server: socket.socket):
    server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(paths.deployment_socket("a")))
    threading.Timer(0.3, client.close).start()
    accepted, _ = server.accept()
    threading.Timer(0.3, accepted.close).start()
    began = time.monotonic()
    web_server.wait_until_idle(paths, "a", limit=10)
    assert 0.2 < time.monotonic() - began < 5


@pytest.mark.parametrize("accepted", [True, False])
def test_the_wait_for_an_open_connection_has_a_limit(paths: Paths, server: socket.socket, accepted: bool):
    server.listen()
    with socket.socket(socket.AF_UNIX) as client, ExitStack() as stack:
        client.connect(str(paths.deployment_socket("a")))
        if accepted:
            stack.enter_context(server.accept()[0])
        began = time.monotonic()
        web_server.wait_until_idle(paths, "a", limit=0.3)
        assert 0.3 <= time.monotonic() - began < 5


def test_the_drop_in_of_an_earlier_version_is_removed_with_its_deployment(paths: Paths):
    (paths.units / "gantry-web@a-1.service.d").mkdir(parents=True)
    (paths.units / "gantry-web@a-1.service.d/listener.conf").touch()
    remove(paths, "a-1")
    assert list(paths.units.glob("*")) == []


def test_folders_that_the_app_made_in_place_of_its_files_dont_stop_a_release(paths: Paths):
    for path in (paths.deployment_socket("a-1"), paths.crash_record("a-1")):
        (path / "more").mkdir(parents=True)
    paths.port_socket("a-1").symlink_to("/")
    remove(paths, "a-1")
    assert list(paths.sockets.iterdir()) == []


def test_a_folder_in_place_of_the_socket_is_removed_before_the_start(paths: Paths):
    paths.gunicorn_settings.parent.mkdir(parents=True)
    paths.gunicorn_settings.touch()
    (paths.releases / "3f2a").mkdir(parents=True)
    (paths.releases / "3f2a/Procfile").write_text("web: true\n")
    deployment = Deployment("3f2a", "s1", {})
    write_files(paths, deployment, Folders(paths.releases / "3f2a", paths.venvs / "v1"))
    place = paths.deployment_socket(deployment.name)
    (place / "more").mkdir(parents=True)
    script = str(paths.deployments / deployment.name / "web")
    assert subprocess.run(["sh", script], env={**os.environ, "GANTRY_SOCKET": str(place)}).returncode == 0
    assert not place.exists()


def test_a_deployment_gets_a_port_that_a_second_start_keeps(paths: Paths):
    paths.gunicorn_settings.parent.mkdir(parents=True)
    paths.gunicorn_settings.touch()
    (paths.releases / "3f2a").mkdir(parents=True)
    (paths.releases / "3f2a/Procfile").write_text("web: python app.py\n")
    deployment = Deployment("3f2a", "s1", {})
    folders, folder = Folders(paths.releases / "3f2a", paths.venvs / "v1"), paths.deployments / deployment.name
    write_files(paths, deployment, folders)
    port = ports.assigned(folder)
    assert port in ports.APP_PORTS
    write_files(paths, deployment, folders)
    assert ports.assigned(folder) == port
