"""The replacement of Nginx's master, and what is said if it doesn't happen."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from host import files, last_responses, nginx_upgrade
from host.errors import ReleaseError
from host.paths import Paths
from host.waiting import wait_until

OLD, NEW = 4_000_001, 4_000_002


class FakeNginx:
    """Masters by process id, without processes. ``signals`` are those that the old one got."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pid_file, self.old_pid_file = folder / "nginx.pid", folder / "nginx.pid.oldbin"
        self.running = {OLD}
        self.signals: list[signal.Signals] = []
        self.starts, self.ends = True, True
        self.pid_file.write_text(f"{OLD}\n")
        monkeypatch.setattr(nginx_upgrade, "PID_FILE", self.pid_file)
        monkeypatch.setattr(nginx_upgrade, "OLD_PID_FILE", self.old_pid_file)
        monkeypatch.setattr(nginx_upgrade, "_is_nginx", self.running.__contains__)
        monkeypatch.setattr(nginx_upgrade, "_children", lambda process: ["1"] if process in self.running else [])
        monkeypatch.setattr(nginx_upgrade, "_connections", lambda _: 2)
        monkeypatch.setattr(nginx_upgrade, "_signal", self.signal)
        monkeypatch.setattr(last_responses, "SECONDS", 0)
        for name in ("START_SECONDS", "FINISH_SECONDS"):
            monkeypatch.setattr(nginx_upgrade, name, 0)

    def signal(self, process: int, number: signal.Signals) -> None:
        assert process == OLD
        self.signals.append(number)
        if number == signal.SIGUSR2 and self.starts:
            self.pid_file.rename(self.old_pid_file)
            self.pid_file.write_text(f"{NEW}\n")
            self.running.add(NEW)
        if number == signal.SIGQUIT and self.ends:
            self.old_pid_file.unlink()
            self.running.remove(OLD)


@pytest.fixture
def nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNginx:
    return FakeNginx(tmp_path, monkeypatch)


def test_the_old_master_ends_when_the_new_one_has_workers(nginx: FakeNginx, tmp_path: Path):
    nginx_upgrade.upgrade(Paths(tmp_path))
    assert nginx.signals == [signal.SIGUSR2, signal.SIGQUIT]
    assert nginx.running == {NEW}
    assert not Paths(tmp_path).last_responses.exists()


@pytest.mark.parametrize(
    "text", ["", f"{os.getpid()}\n", None], ids=["an empty file", "a process of another program", "no file"]
)
def test_without_nginx_no_process_gets_a_signal(nginx: FakeNginx, tmp_path: Path, text: str | None):
    if text is None:
        nginx.pid_file.unlink()
    else:
        nginx.pid_file.write_text(text)
    with pytest.raises(ReleaseError, match="Nginx doesn't run: see sudo gantry check"):
        nginx_upgrade.upgrade(Paths(tmp_path))
    assert nginx.signals == []


def test_a_new_master_that_does_not_start_leaves_the_old_one(nginx: FakeNginx, tmp_path: Path):
    nginx.starts = False
    with pytest.raises(ReleaseError, match="doesn't start with its new code"):
        nginx_upgrade.upgrade(Paths(tmp_path))
    assert nginx.signals == [signal.SIGUSR2]


def test_an_old_master_with_websockets_finishes_in_the_background_and_delays_the_next_upgrade(
    nginx: FakeNginx, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    nginx.ends = False
    nginx_upgrade.upgrade(Paths(tmp_path))
    assert nginx_upgrade.is_finishing()
    assert f"process {OLD}) still has 2 connections" in capsys.readouterr().out
    assert not Paths(tmp_path).last_responses.exists()
    with pytest.raises(ReleaseError, match=rf"process {OLD}\) still has 2 connections.* `sudo kill {OLD}`"):
        nginx_upgrade.upgrade(Paths(tmp_path))
    assert len(nginx.signals) == 2


def test_a_reload_ends_when_the_old_workers_accept_no_more_connections(
    nginx: FakeNginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    paths, answers = Paths(tmp_path), iter([True, True, False])
    monkeypatch.setattr(nginx_upgrade, "_accepts", lambda _: next(answers))
    monkeypatch.setattr(nginx_upgrade, "RELOAD_SECONDS", 10)
    with nginx_upgrade.lossless_reload(paths):
        assert paths.last_responses.exists()
    assert next(answers, None) is None
    assert not paths.last_responses.exists()


def test_old_workers_that_go_on_are_named(
    nginx: FakeNginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(nginx_upgrade, "_accepts", lambda _: True)
    monkeypatch.setattr(nginx_upgrade, "RELOAD_SECONDS", 0)
    with nginx_upgrade.lossless_reload(Paths(tmp_path)):
        pass
    assert "Nginx still uses its old configuration after 0 s" in capsys.readouterr().out


def test_a_reload_without_visitors_waits_for_nothing_and_removes_the_mark_of_a_killed_run(
    nginx: FakeNginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    paths = Paths(tmp_path)
    monkeypatch.setattr(nginx_upgrade, "_connections", lambda _: 0)
    monkeypatch.setattr(last_responses, "SECONDS", 600)
    files.write(paths.last_responses, b"", 0o644)
    with nginx_upgrade.lossless_reload(paths):
        assert not paths.last_responses.exists()


def test_other_programs_and_processes_that_have_ended_are_not_nginx():
    assert not nginx_upgrade._is_nginx(os.getpid())
    assert not nginx_upgrade._is_nginx(OLD)
    nginx_upgrade._signal(OLD, signal.SIGTERM)


def test_the_connections_of_a_master_are_those_of_its_workers():
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        # The shell stands for the master, and cat for its worker: it ends with its input.
        command, descriptors = ["sh", "-c", "cat; :"], [connection.fileno()]
        with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=descriptors) as master, connection:
            assert wait_until(lambda: bool(nginx_upgrade._children(master.pid)), 10)
            assert nginx_upgrade._connections(master.pid) == 1
    assert nginx_upgrade._connections(master.pid) == 0
