"""The rotation of logs: sizes, days, copies and modes."""

from __future__ import annotations

import gzip
import os
import signal
import time
from pathlib import Path

import pytest

from host import log_rotation
from host.log_rotation import DAY_SECONDS, rotate
from host.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.nginx_logs.mkdir(parents=True)
    paths.log_day.parent.mkdir(parents=True)
    run(paths)
    return paths


def run(paths: Paths, days: int = 14, most_bytes: int = 1000) -> None:
    rotate(paths, days, most_bytes=most_bytes)


def copies(log: Path) -> list[str]:
    return [copy.path.name for copy in log_rotation.copies(log)]


def add_copy(log: Path, *, age_days: float, content: str = "x") -> Path:
    """A copy whose last line is ``age_days`` old."""
    ended = time.time() - age_days * DAY_SECONDS
    copy = log.with_name(f"{log.name}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime(ended))}.gz")
    copy.write_text(content)
    os.utime(copy, (ended, ended))
    return copy


def test_a_log_beyond_its_size_becomes_a_compressed_copy_and_the_others_stay(paths: Paths):
    paths.combined_log.write_text("line\n" * 300)
    small = paths.nginx_logs / "error.log"
    small.write_text("line\n")
    run(paths)
    [name] = copies(paths.combined_log)
    assert gzip.decompress((paths.nginx_logs / name).read_bytes()) == b"line\n" * 300
    assert paths.combined_log.read_bytes() == b""
    assert (small.read_text(), copies(small)) == ("line\n", [])


def test_each_day_every_log_of_nginx_is_rotated_but_no_empty_one(paths: Paths):
    paths.combined_log.write_text("line\n")
    run(paths)
    assert copies(paths.combined_log) == []
    paths.log_day.write_text("2020-01-01")
    run(paths)
    assert len(copies(paths.combined_log)) == 1
    assert copies(paths.candidate_errors) == []


def test_a_run_that_is_killed_between_two_logs_leaves_the_second_one_to_the_next_run(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
):
    logs = paths.combined_log, paths.nginx_logs / "error.log"
    for log in logs:
        log.write_text("line\n")
    paths.log_day.write_text("2020-01-01")
    with monkeypatch.context() as patch:
        patch.setattr(log_rotation, "_create", lambda _log: exit(1))
        with pytest.raises(SystemExit):
            run(paths)
    run(paths)
    assert [len(copies(log)) for log in logs] == [1, 1]


def test_on_a_full_disk_the_daily_rotation_waits(paths: Paths, capsys: pytest.CaptureFixture[str]):
    paths.combined_log.write_text("line\n")
    paths.log_day.write_text("2020-01-01")
    full = paths.log_day.with_suffix(".new")
    full.mkdir()
    run(paths)
    assert copies(paths.combined_log) == []
    assert "the daily rotation of the logs waits" in capsys.readouterr().out
    full.rmdir()
    run(paths)
    assert len(copies(paths.combined_log)) == 1


def test_a_copy_is_deleted_before_its_first_line_is_older_than_the_setting(paths: Paths):
    log = paths.combined_log
    add_copy(log, age_days=6.9)  # its first line may be a day older
    kept = add_copy(log, age_days=5.9)
    from_logrotate = log.with_name("access.log.2.gz")
    from_logrotate.touch()
    os.utime(from_logrotate, (0, 0))
    run(paths, days=7)
    assert copies(log) == [kept.name]


def test_of_a_day_with_many_copies_each_is_kept_as_long_as_the_setting_says(paths: Paths):
    log = paths.combined_log
    names = [add_copy(log, age_days=days).name for days in (1.95, 1.9, 0.1)]
    run(paths, days=2)
    assert copies(log) == names[1:]


def test_beyond_the_limit_of_all_copies_the_oldest_are_deleted_with_a_message(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(log_rotation, "MOST_COPIES_BYTES", 250)
    names = [add_copy(paths.combined_log, age_days=days, content="x" * 100).name for days in (3, 2, 1)]
    run(paths)
    assert copies(paths.combined_log) == names[1:]
    assert f"deleted {paths.nginx_logs}/{names[0]}" in capsys.readouterr().out


def test_the_copies_of_the_watchs_log_stay_readable_for_it_and_are_deleted_soon(paths: Paths):
    paths.access_log.write_text("line\n" * 300)
    run(paths)
    [name] = copies(paths.access_log)
    assert not name.endswith(".gz")
    ended = time.time() - log_rotation.WATCH_LOG_SECONDS - 1
    os.utime(paths.nginx_logs / name, (ended, ended))
    run(paths)
    assert copies(paths.access_log) == []


def test_of_the_logs_of_other_programs_only_those_of_logins_are_rotated_each_day(paths: Paths):
    apt = paths.logs / "apt/history.log"
    apt.parent.mkdir()
    apt.write_text("line\n" * 300)
    apt.chmod(0o644)
    for name in ("btmp", "wtmp", "dpkg.log"):
        (paths.logs / name).write_text("line")
    (paths.logs / "of-the-user.log").write_text("line\n" * 300)
    paths.log_day.write_text("2020-01-01")
    run(paths)
    assert (len(copies(apt)), apt.stat().st_size, apt.stat().st_mode & 0o777) == (1, 0, 0o644)
    assert copies(paths.logs / "dpkg.log") == copies(paths.logs / "of-the-user.log") == []
    assert [len(copies(paths.logs / name)) for name in ("btmp", "wtmp")] == [1, 1]


def test_every_log_of_nginx_is_closed_to_the_app(paths: Paths):
    paths.combined_log.chmod(0o644)
    paths.combined_log.write_text("line\n" * 300)
    add_copy(paths.combined_log, age_days=1).chmod(0o644)
    run(paths)
    files = [*paths.nginx_logs.iterdir()]
    assert len(files) == 5
    assert {file.stat().st_mode & 0o777 for file in files} == {0o640}


def test_what_a_killed_run_left_is_removed(paths: Paths):
    part = paths.nginx_logs / ".access.log-20260101T000000.gz"
    part.touch()
    run(paths)
    assert not part.exists()


def test_two_rotations_within_a_second_lose_nothing(paths: Paths):
    for number in range(4):
        with paths.combined_log.open("a") as stream:
            stream.write(f"{number}\n" * 600)
        run(paths)
    kept = b"".join(gzip.decompress((paths.nginx_logs / name).read_bytes()) for name in copies(paths.combined_log))
    assert sorted({*kept.split(), *paths.combined_log.read_bytes().split()}) == [b"0", b"1", b"2", b"3"]


# Nginx's processes.


class FakeNginx:
    """Nginx's processes below ``paths``. They open the new logs at the signal, unless they don't ``listen``."""

    def __init__(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths, self.told = paths, list[int]()
        self._listening = set[int]()
        monkeypatch.setattr(os, "kill", self._signal)
        monkeypatch.setattr(log_rotation, "REOPEN_SECONDS", 0.3)

    def start(self, process: int, title: str, log: Path, *, listens: bool = True) -> None:
        folder = self.paths.processes_now / str(process)
        (folder / "fd").mkdir(parents=True)
        (folder / "cmdline").write_bytes(title.encode() + b"\0")
        (folder / "fd/3").symlink_to("/dev/null")
        (folder / "fd/4").symlink_to(log)
        if listens:
            self._listening.add(process)

    def _signal(self, process: int, number: int) -> None:
        assert number == signal.SIGUSR1
        self.told.append(process)
        if process in self._listening:
            file = self.paths.processes_now / str(process) / "fd/4"
            file.unlink()
            file.symlink_to(self.paths.combined_log)


@pytest.fixture
def nginx(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> FakeNginx:
    return FakeNginx(paths, monkeypatch)


def test_every_master_and_worker_that_has_a_copy_open_is_told_also_those_of_an_old_nginx(
    paths: Paths, nginx: FakeNginx, capsys: pytest.CaptureFixture[str]
):
    copy = add_copy(paths.combined_log, age_days=0.1).rename(paths.nginx_logs / "access.log-20260131T235959")
    # The old master has replaced itself, ends, and doesn't listen any more.
    nginx.start(10, "nginx: master process /usr/sbin/nginx", copy, listens=False)
    nginx.start(11, "nginx: worker process is shutting down", copy)
    nginx.start(20, "nginx: master process /usr/sbin/nginx", copy)
    nginx.start(21, "nginx: worker process", copy)
    nginx.start(22, "nginx: worker process", paths.combined_log)
    nginx.start(30, "/usr/sbin/nginx", copy)
    nginx.start(31, "tail", copy)
    run(paths)
    assert sorted(nginx.told) == [10, 11, 20, 21]
    assert "still writes" not in capsys.readouterr().out
    assert copies(paths.combined_log) == [copy.name], "the old master still has it open"


def test_a_process_that_ends_meanwhile_does_not_end_the_run(paths: Paths, nginx: FakeNginx):
    copy = paths.nginx_logs / "access.log-20260131T235959"
    copy.write_text("line\n")
    (paths.processes_now / "9").mkdir(parents=True)
    (paths.processes_now / "12").mkdir()
    (paths.processes_now / "12/cmdline").write_bytes(b"nginx: worker process\0")
    run(paths)
    assert copies(paths.combined_log) == [f"{copy.name}.gz"]


def test_a_process_that_ends_before_its_signal_does_not_end_the_run(
    paths: Paths, nginx: FakeNginx, monkeypatch: pytest.MonkeyPatch
):
    copy = paths.nginx_logs / "access.log-20260131T235959"
    copy.write_text("line\n")
    nginx.start(11, "nginx: worker process", copy)

    def end(process: int, _number: int) -> None:
        (paths.processes_now / str(process)).rename(paths.root / "ended")
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", end)
    run(paths)
    assert copies(paths.combined_log) == [f"{copy.name}.gz"]


def test_a_copy_that_nginx_has_open_is_neither_deleted_beyond_the_limit_nor_compressed(
    paths: Paths, nginx: FakeNginx, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(log_rotation, "MOST_COPIES_BYTES", 250)
    older = add_copy(paths.combined_log, age_days=2, content="x" * 200)
    other = add_copy(paths.combined_log, age_days=1, content="x" * 200)
    is_open = older.rename(older.with_suffix(""))
    nginx.start(11, "nginx: worker process", is_open, listens=False)
    run(paths)
    assert copies(paths.combined_log) == [is_open.name]
    assert not other.exists()
    assert "Nginx still writes to a copy" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to another user")
def test_another_users_process_with_the_title_of_nginx_keeps_no_copy(paths: Paths, nginx: FakeNginx):
    copy = paths.nginx_logs / "access.log-20260131T235959"
    copy.write_text("line\n")
    nginx.start(11, "nginx: worker process", copy, listens=False)
    os.chown(paths.processes_now / "11", 54321, 54321)
    run(paths)
    assert nginx.told == []
    assert copies(paths.combined_log) == [f"{copy.name}.gz"]
