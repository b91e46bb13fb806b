"""A web process that isn't Gunicorn: what is done around it."""

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

from host import listener, systemd, web
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
        server.bind(str(paths.instance_socket("a")))
        yield server


def test_it_counts_who_is_connected_and_not_the_listener_itself():
    assert listener.connections(TABLE, "/run/gantry/a.sock") == 2
    assert listener.connections(TABLE, "/run/gantry/c.sock") == 0


def test_once_it_listens_nginx_is_let_in(paths: Paths, server: socket.socket):
    paths.instance_socket("a").chmod(0o600)
    threading.Timer(0.2, server.listen).start()
    began = time.monotonic()
    listener.wait_until_it_listens(paths, "a", os.getpid(), limit=10)
    assert time.monotonic() - began >= 0.2
    assert paths.instance_socket("a").stat().st_mode & 0o777 == 0o660


def test_one_that_listens_elsewhere_is_told_where_it_should(paths: Paths):
    with pytest.raises(ReleaseError, match="nothing listens on the Unix socket that GANTRY_SOCKET names, "):
        listener.wait_until_it_listens(paths, "a", os.getpid(), limit=0.1)


def test_one_that_ends_is_not_waited_for(paths: Paths):
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(ReleaseError, match="has ended"):
        listener.wait_until_it_listens(paths, "a", ended.pid, limit=10)


def test_it_is_idle_when_the_last_connection_has_ended(paths: Paths, server: socket.socket):
    server.listen()
    visitor = socket.socket(socket.AF_UNIX)
    visitor.connect(str(paths.instance_socket("a")))
    threading.Timer(0.3, visitor.close).start()
    accepted, _ = server.accept()
    threading.Timer(0.3, accepted.close).start()
    began = time.monotonic()
    listener.wait_until_it_is_idle(paths, "a", limit=10)
    assert 0.2 < time.monotonic() - began < 5


@pytest.mark.parametrize("accepted", [True, False])
def test_who_never_ends_is_waited_for_but_not_for_ever(paths: Paths, server: socket.socket, accepted: bool):
    server.listen()
    with socket.socket(socket.AF_UNIX) as visitor, ExitStack() as held:
        visitor.connect(str(paths.instance_socket("a")))
        if accepted:
            held.enter_context(server.accept()[0])
        began = time.monotonic()
        listener.wait_until_it_is_idle(paths, "a", limit=0.3)
        assert 0.3 <= time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("command", "accompanied"),
    [("gunicorn a:b", False), ("waitress-serve --unix-socket=$GANTRY_SOCKET a:b", True)],
)
def test_only_one_that_is_not_gunicorn_is_accompanied_until_it_is_forgotten(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, command: str, accompanied: bool
):
    asked: list[str] = []
    monkeypatch.setattr(systemd, "systemctl", lambda *words: asked.extend(words))
    paths.gunicorn_settings.parent.mkdir(parents=True)
    paths.gunicorn_settings.touch()
    (paths.releases / "3f2a").mkdir(parents=True)
    (paths.releases / "3f2a/Procfile").write_text(f"web: {command}\n")
    instance = web.Instance("3f2a", "s1", {})
    for _ in range(2):
        web.prepare(paths, instance, paths.venvs / "v1")
    assert [path.parent.name for path in paths.units.glob("*/*")] == [f"{web.unit(instance.name)}.d"] * accompanied
    assert asked == ["daemon-reload"] * accompanied
    web.forget(paths, instance.name)
    assert list(paths.units.glob("*")) == []
