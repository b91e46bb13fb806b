"""Web processes other than Gunicorn: their systemd drop-in, and the commands that it calls."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from host import systemd, web_server
from host.deployment import Deployment, Folders, remove, unit, write_files
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
    assert web_server.connections(TABLE, "/run/gantry/a.sock") == 2
    assert web_server.connections(TABLE, "/run/gantry/c.sock") == 0


def test_once_the_web_process_listens_nginx_may_connect(paths: Paths, server: socket.socket):
    paths.deployment_socket("a").chmod(0o600)
    threading.Timer(0.2, server.listen).start()
    began = time.monotonic()
    web_server.wait_until_listening(paths, "a", os.getpid(), limit=10)
    assert time.monotonic() - began >= 0.2
    assert paths.deployment_socket("a").stat().st_mode & 0o777 == 0o660


def test_the_error_of_a_process_that_listens_elsewhere_names_the_right_socket(paths: Paths):
    with pytest.raises(ReleaseError, match="nothing listens on the Unix socket that GANTRY_SOCKET names, "):
        web_server.wait_until_listening(paths, "a", os.getpid(), limit=0.1)


def test_the_wait_fails_at_once_when_the_web_process_has_ended(paths: Paths):
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(ReleaseError, match="has ended"):
        web_server.wait_until_listening(paths, "a", ended.pid, limit=10)


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


@pytest.mark.parametrize(
    ("command", "has_drop_in"),
    [("gunicorn a:b", False), ("waitress-serve --unix-socket=$GANTRY_SOCKET a:b", True)],
)
def test_only_a_server_that_is_not_gunicorn_has_a_drop_in_until_it_is_removed(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, command: str, has_drop_in: bool
):
    commands: list[str] = []
    monkeypatch.setattr(systemd, "systemctl", lambda *words: commands.extend(words))
    paths.gunicorn_settings.parent.mkdir(parents=True)
    paths.gunicorn_settings.touch()
    (paths.releases / "3f2a").mkdir(parents=True)
    (paths.releases / "3f2a/Procfile").write_text(f"web: {command}\n")
    deployment = Deployment("3f2a", "s1", {})
    for _ in range(2):
        write_files(paths, deployment, Folders(paths.releases / "3f2a", paths.venvs / "v1"))
    drop_ins = list(paths.units.glob("*/*"))
    assert [path.parent.name for path in drop_ins] == [f"{unit(deployment.name)}.d"] * has_drop_in
    assert commands == ["daemon-reload"] * has_drop_in
    remove(paths, deployment.name)
    assert list(paths.units.glob("*")) == []
