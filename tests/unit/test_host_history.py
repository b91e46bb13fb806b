from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from host import history, status
from host.history import Entry
from host.paths import Paths

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path)
    found.state.mkdir(parents=True)
    return found


def record(paths: Paths, release: str) -> None:
    with history.recorded(paths, Entry(release, f"{release}-1", "ada", "192.0.2.7")) as entry:
        entry.result = "serving"


def test_a_release_is_written_down_with_its_time_and_end(paths: Paths):
    record(paths, "3f2a91c0ffee")
    found = history.last(paths, 10)[0]
    assert (found["release"], found["by"], found["source"], found["result"]) == (
        "3f2a91c0ffee", "ada", "192.0.2.7", "serving",
    )  # fmt: skip
    assert found["began"].endswith("Z")
    assert stat.S_IMODE(paths.history.stat().st_mode) == 0o600


def test_a_reason_is_the_first_line_and_what_a_colon_announces(paths: Paths):
    for said in ("the app doesn't start:\nTraceback\nKeyError: 'X'", "it is unhealthy\nlog line"):
        with pytest.raises(ValueError, match=r"app|it"), history.recorded(paths, Entry("a", "a-1", "ada", "console")):
            raise ValueError(said)
    reasons = [entry["reason"] for entry in history.last(paths, 10)]
    assert reasons == ["the app doesn't start: KeyError: 'X'", "it is unhealthy"]


def test_a_watch_counts_as_stood_only_while_nothing_bad_came_after_it(paths: Paths):
    assert not history.stood(paths, "a-1", 10)
    expected = [
        ("a-1", "serving", 5, False), ("a-1", "on probation", 10, True), ("b-1", "failed", 0, True),
        ("a-1", "unchanged", 0, True), ("a-1", "serving", 2, True), ("a-1", "interrupted", 0, False),
        ("a-1", "serving", 2, False),
    ]  # fmt: skip
    for instance, result, watched, stood in expected:
        with history.recorded(paths, Entry("a", instance, "ada", "console")) as entry:
            entry.result, entry.watched = result, watched
        assert history.stood(paths, "a-1", 10) == stood, (instance, result)


def test_half_a_line_of_a_power_cut_spoils_no_other(paths: Paths):
    record(paths, "a")
    with paths.history.open("a") as stream:
        stream.write('{"release": "b", "inst')
    record(paths, "c")
    assert [entry["release"] for entry in history.last(paths, 10)] == ["a", "c"]


def test_the_history_does_not_grow_for_ever(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(history, "MOST_ENTRIES", 10)
    monkeypatch.setattr(history, "KEPT_ENTRIES", 5)
    for number in range(14):
        record(paths, str(number))
    assert [entry["release"] for entry in history.last(paths, 100)] == [str(number) for number in range(5, 14)]


def test_a_disk_that_is_full_does_not_decide_how_a_release_ends(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(history.files, "write", full)
    monkeypatch.setattr(history, "_append", full)
    record(paths, "a")
    assert "No space left" in capsys.readouterr().out


def test_the_address_of_the_ssh_connection_is_found_where_sudo_has_dropped_it():
    code = "from host import history; print(*history.source())"
    words = ["env", "-u", "SSH_CONNECTION", "SUDO_USER=deploy", sys.executable, "-c", code]
    shell = ["sh", "-c", '"$@"; true', "sh", *words]
    given = {**os.environ, "SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}
    done = subprocess.run(shell, env=given, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["deploy", "192.0.2.7"]


def test_people_read_the_newest_release_first_with_one_line_of_its_reason():
    entry = {"began": "2026-01-02T03:04:05Z", "release": "a", "revision": None, "seconds": 1.5, "by": "ada"}
    old = {**entry, "source": "192.0.2.7", "result": "serving", "reason": None}
    new = {**entry, "release": "b", "source": "console", "result": "failed", "reason": "no luck", "revision": "v2"}
    found = {"release": "a", "active": True, "since": "2026-01-02T03:04:06Z", "processes": ["worker"]}
    found |= {"instance": "a-1", "proven": "b-1", "kept": ["a"], "history": [old, new]}
    assert status.text(found).splitlines() == [
        "release a is serving since 2026-01-02T03:04:06Z",
        "being tried: goes back to b unless it is confirmed",
        "beside web: worker",
        "kept: a",
        "2026-01-02T03:04:05Z  b (v2)    1.50 s  by ada from console  failed: no luck",
        "2026-01-02T03:04:05Z  a    1.50 s  by ada from 192.0.2.7  serving",
    ]


def test_an_empty_server_says_so(paths: Paths):
    found = status.status(paths)
    empty = {
        "release": None,
        "instance": None,
        "proven": None,
        "active": False,
        "since": None,
        "processes": [],
        "kept": [],
        "history": [],
    }
    assert found == empty
    assert status.text(found) == "no release yet\nkept: none"
