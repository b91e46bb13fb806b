from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from host import history, status
from host.console import phase
from host.history import Entry
from host.paths import Paths

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    return paths


def record(paths: Paths, release: str) -> None:
    with history.recording(paths, Entry(release, f"{release}-1", by="ada", source="192.0.2.7")) as entry:
        entry.result = "serving"


def test_an_entry_has_the_operator_the_time_and_the_result_of_a_release(paths: Paths):
    record(paths, "3f2a91c0ffee")
    entry = history.last_entries(paths, 10)[0]
    assert (entry["release"], entry["by"], entry["source"], entry["result"]) == (
        "3f2a91c0ffee", "ada", "192.0.2.7", "serving",
    )  # fmt: skip
    assert entry["began"].endswith("Z")
    assert stat.S_IMODE(paths.history.stat().st_mode) == 0o600


def test_an_entry_has_the_reason_of_a_failure_without_values_of_variables(paths: Paths):
    entry = Entry("a", "a-1", by="ada", source="console")
    with pytest.raises(ValueError, match="app"), history.recording(paths, entry, {"TOKEN": "hunter22"}):
        raise ValueError("the app doesn't start:\nKeyError: 'hunter22'")
    assert history.last_entries(paths, 1)[0]["reason"] == "the app doesn't start: KeyError: '[TOKEN]'"


def test_the_entry_of_a_killed_run_has_the_phases_that_ended_and_the_one_in_progress(paths: Paths):
    entry = Entry("a", "a-1", by="ada", source="console")
    with history.recording(paths, entry):
        with phase("venv", entry.phases):
            pass
        with phase("start", entry.phases):
            killed = paths.unfinished_entry.read_bytes()
    paths.unfinished_entry.write_bytes(killed)  # as if the run had been killed at that time
    record(paths, "b")
    interrupted = history.last_entries(paths, 2)[0]
    assert (interrupted["result"], interrupted["reason"]) == ("interrupted", "in the phase start")
    assert set(interrupted["phases"]) == {"venv"}
    assert stat.S_IMODE(paths.history.stat().st_mode) == 0o600


def test_a_passed_watch_counts_until_the_deployment_has_a_bad_result(paths: Paths):
    assert not history.passed_watch(paths, "a-1", 10)
    expected = [
        ("a-1", "serving", 5, False), ("a-1", "on probation", 10, True), ("b-1", "failed", 0, True),
        ("a-1", "unchanged", 0, True), ("a-1", "serving", 2, True), ("a-1", "interrupted", 0, False),
        ("a-1", "serving", 2, False),
    ]  # fmt: skip
    for deployment, result, watched, passed in expected:
        with history.recording(paths, Entry("a", deployment, by="ada", source="console")) as entry:
            entry.result, entry.watched = result, watched
        assert history.passed_watch(paths, "a-1", 10) == passed, (deployment, result)


def test_an_incomplete_line_after_a_power_cut_does_not_spoil_other_lines(paths: Paths):
    record(paths, "a")
    with paths.history.open("a") as stream:
        stream.write('{"release": "b", "depl')
    record(paths, "c")
    assert [entry["release"] for entry in history.last_entries(paths, 10)] == ["a", "c"]


def test_the_history_is_cut_when_it_is_long(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(history, "MOST_ENTRIES", 10)
    monkeypatch.setattr(history, "KEPT_ENTRIES", 5)
    for number in range(14):
        record(paths, str(number))
    assert [entry["release"] for entry in history.last_entries(paths, 100)] == [str(number) for number in range(5, 14)]


def test_a_history_that_cannot_be_written_does_not_fail_a_release(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(history.files, "write", full)
    monkeypatch.setattr(history, "_append", full)
    record(paths, "a")
    assert "No space left" in capsys.readouterr().out


def test_the_address_of_the_ssh_connection_is_found_although_sudo_drops_it():
    code = "from host import history; print(*history.operator())"
    words = ["env", "-u", "SSH_CONNECTION", "SUDO_USER=deploy", sys.executable, "-c", code]
    shell = ["sh", "-c", '"$@"; true', "sh", *words]
    env = {**os.environ, "SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}
    result = subprocess.run(shell, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["deploy", "192.0.2.7"]


def test_the_status_for_people_has_the_newest_release_first_with_one_line_of_its_reason():
    entry = {"began": "2026-01-02T03:04:05Z", "release": "a", "revision": None, "seconds": 1.5, "by": "ada"}
    old = {**entry, "source": "192.0.2.7", "result": "serving", "reason": None}
    new = {**entry, "release": "b", "source": "console", "result": "failed", "reason": "a fault", "revision": "v2"}
    report = {"release": "a", "active": True, "since": "2026-01-02T03:04:06Z", "processes": ["worker"]}
    report |= {"deployment": "a-1", "proven": "b-1", "kept": ["a"], "history": [old, new], "updates": "not run yet"}
    report["certificate"] = {"lines": ["HTTPS for a.example until tomorrow"], "late": True, "problem": ""}
    assert status.text(report).splitlines() == [
        "release a is serving since 2026-01-02T03:04:06Z",
        "on probation: rolls back to b unless it is confirmed",
        "other processes: worker",
        "security updates: not run yet",
        "WARNING: the certificate ends soon, and wasn't renewed",
        "HTTPS for a.example until tomorrow",
        "kept: a",
        "2026-01-02T03:04:05Z  b (v2)    1.50 s  by ada from console  failed: a fault",
        "2026-01-02T03:04:05Z  a    1.50 s  by ada from 192.0.2.7  serving",
    ]


def test_the_status_of_a_server_without_a_release(paths: Paths):
    report = status.status(paths)
    empty = {
        "release": None,
        "deployment": None,
        "proven": None,
        "active": False,
        "since": None,
        "processes": [],
        "kept": [],
        "history": [],
        "updates": "",
        "certificate": None,
    }
    assert report == empty
    assert status.text(report) == "no release yet\nkept: none"
