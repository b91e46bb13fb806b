from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components import ssh
from tools import login
from tools.data import command
from tools.data.rsync import Copy, CopyError

SERVER = login.Server(name="dev-0", id="i-1", login=ssh.Login("203.0.113.7", "deploy", "OWN", "key"))


class Computer:
    """In place of ssh and rsync: records what runs. ``differences`` are those after each copy."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[str] = []
        self.differences: list[list[str]] = []
        self.fails = False
        monkeypatch.setattr(login, "find", lambda _stack, _name: SERVER)
        monkeypatch.setattr(command, "require_programs", lambda _login, _name: None)
        monkeypatch.setattr(ssh, "run", self.ssh)
        monkeypatch.setattr(Copy, "run", lambda copy: self.copy(copy))
        monkeypatch.setattr(Copy, "differences", lambda _copy: self.differences.pop(0) if self.differences else [])
        monkeypatch.setattr("signal.signal", lambda _number, _handler: None)

    def ssh(self, _login: ssh.Login, words: list[str], **_options: Any) -> subprocess.CompletedProcess[bytes]:
        self.events.append("stop" if words == [command.STOP] else "start" if words == [command.START] else "other")
        return subprocess.CompletedProcess(words, 0, b"", b"")

    def copy(self, copy: Copy) -> None:
        self.events.append("pull" if copy.target else "push")
        if copy.target and not self.fails:
            (copy.target / "db.sqlite3").write_text("rows")
        if self.fails:
            raise CopyError("rsync ended with status 20")


@pytest.fixture
def computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Computer:
    monkeypatch.chdir(tmp_path)
    return Computer(monkeypatch)


Shown = Callable[[], str]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    def read() -> str:
        captured = capsys.readouterr()
        return captured.out + captured.err

    return read


def test_pull_copies_again_until_both_sides_are_equal(computer: Computer, shown: Shown):
    computer.differences = [["db.sqlite3"], []]
    assert command.main(["pull"]) == 0
    assert computer.events == ["pull", "pull"]
    assert "1 file (4 bytes) of dev-0 (i-1) are in data/dev-0, equal by checksum" in shown()
    assert json.loads(Path("data/dev-0.json").read_text()) == {"server": "i-1", "complete": True}


def test_pull_fails_if_the_app_keeps_writing_and_says_how_to_stop_it(computer: Computer, shown: Shown):
    computer.differences = [["db.sqlite3", "db.sqlite3-wal"]] * 3
    assert command.main(["pull"]) == 1
    assert "2 files changed during each of 3 copies (db.sqlite3, db.sqlite3-wal)" in shown()
    # The copy is incomplete, so it isn't put on another server.
    assert command.main(["push"]) == 1
    assert "is the incomplete copy of a server" in shown()
    assert command.main(["pull", "--stop"]) == 0
    assert computer.events == ["pull"] * 3 + ["stop", "pull", "start"]
    assert command.main(["push"]) == 0


def test_a_failed_pull_starts_the_app_again(computer: Computer):
    computer.fails = True
    assert command.main(["pull", "--stop"]) == 1
    assert computer.events == ["stop", "pull", "start"]


def test_pull_never_deletes_the_files_of_another_server_or_of_the_user(computer: Computer, shown: Shown):
    Path("mine").mkdir()
    Path("mine/thesis").write_text("text")
    assert command.main(["pull", "dev-0", "mine"]) == 1
    assert "has files that aren't from this server, which the copy would delete" in shown()
    Path("mine.json").write_text('{"server": "i-0", "complete": true}')
    assert command.main(["pull", "dev-0", "mine"]) == 1
    assert "has the data of another server (i-0)" in shown()
    assert computer.events == []


def test_push_stops_the_app_and_keeps_it_stopped_if_the_data_is_incomplete(computer: Computer, shown: Shown):
    Path("backup").mkdir()
    assert command.main(["push", "backup"]) == 1
    assert "has no files to copy" in shown()
    Path("backup/db.sqlite3").write_text("rows")
    computer.fails = True
    assert command.main(["push", "backup"]) == 1
    assert computer.events == ["stop", "push"]
    assert "the app of dev-0 is stopped, because its data isn't complete" in shown()
    computer.fails, computer.events = False, []
    assert command.main(["push", "backup", "--stack", "prod"]) == 0
    assert computer.events[:3] == ["stop", "push", "start"]
