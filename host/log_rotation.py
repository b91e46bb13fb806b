"""Keeps a server's logs small and private: rotates them by size and each day, and deletes old copies.

A timer calls this every half a minute, because a flood fills a disk within hours. A log's copy has its name and a time,
such as access.log-20260131T235959.gz. The time is that of its last line, in UTC.
"""

from __future__ import annotations

import grp
import gzip
import os
import pwd
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from host import open_files
from host.console import say
from host.paths import Paths

# A log that is larger is rotated. Logs with addresses are also rotated each day.
MOST_BYTES = 32 * 1024 * 1024
# Copies of Nginx's logs together: this part of the disk, and at most these bytes. Copies of other logs get the same.
# The oldest are deleted first.
DISK_SHARE, MOST_COPIES_BYTES = 0.1, 4 * 1024**3
# Those who log in over SSH, or try to, with their addresses. Rotated each day, as Nginx's.
LOGIN_LOGS = ("btmp", "wtmp")
# Logs besides Nginx's and the journal. Their programs open them for each line.
OTHER_LOGS = (
    "cloud-init*.log",
    "dpkg.log",
    "alternatives.log",
    *LOGIN_LOGS,
    "apt/*.log",
    "unattended-upgrades/*.log",
)
# Nginx's workers open its logs themselves. The group may read them, as Debian has it. The app's user is in neither.
OWNER, GROUP, MODE = "www-data", "adm", 0o640
# How long Nginx may take to open its new logs.
REOPEN_SECONDS = 10.0
# The watch has read a copy of its log by then. The same requests are in access.log.
WATCH_LOG_SECONDS = 600
DAY_SECONDS = 86400


@dataclass(frozen=True)
class Copy:
    """A rotated log: its path, its size in bytes and the time of its last line, in seconds since the epoch."""

    path: Path
    size: int
    ended: float

    @property
    def is_compressed(self) -> bool:
        return self.path.suffix == ".gz"


@dataclass(frozen=True)
class _Process:
    """A process of Nginx, and the paths of the files that it has open."""

    id: int
    is_master: bool
    files: frozenset[str]

    @property
    def has_copy(self) -> bool:
        return any(".log-" in name or ".log." in name for name in map(os.path.basename, self.files))


def rotate(paths: Paths, days: int, *, most_bytes: int = MOST_BYTES) -> None:
    """Rotate the logs that are due, and delete copies: those of over ``days`` days, and the oldest beyond the limit."""
    nginx_logs = sorted(paths.nginx_logs.glob("*.log"))
    others = [log for pattern in OTHER_LOGS for log in sorted(paths.logs.glob(pattern))]
    # First, because on a full disk the rest may fail.
    _remove_parts(paths)
    for logs in (nginx_logs, others):
        _delete_old(paths, logs, days)
        _delete_beyond_limit(paths, logs)
    make_private(paths)
    new_day = _new_day(paths)
    for log in (*nginx_logs, *others):
        size, is_daily = log.stat().st_size, log in nginx_logs or log.name in LOGIN_LOGS
        if size > most_bytes or (new_day and is_daily and size):
            _rename(log)
    if new_day:
        # Not earlier: if this run is killed, the next one rotates what is left of the logs of the day before.
        new_day.rename(paths.log_day)
    for logs in (nginx_logs, others):
        _delete_beyond_limit(paths, logs)
    # Also if nothing was rotated now: an earlier run may have been killed before this.
    _reopen(paths)
    still_open = _open_files(paths)
    for log in (*nginx_logs, *others):
        for copy in copies(log):
            # The watch reads the copies of its own log.
            if not copy.is_compressed and log != paths.access_log and str(copy.path) not in still_open:
                _compress(copy.path)


def make_private(paths: Paths) -> None:
    """Close Nginx's logs and their copies to the app: they have visitors' addresses. Creates the logs that are missing.

    Nginx would create them readable for all users.
    """
    if not paths.nginx_logs.is_dir():
        return
    for log in (paths.combined_log, paths.access_log, paths.candidate_errors):
        with suppress(FileExistsError):
            _create(log)
    for file in paths.nginx_logs.iterdir():
        with suppress(FileNotFoundError):
            if file.is_file() and file.stat().st_mode & 0o777 != MODE:
                file.chmod(MODE)
                _own(file)


def copies(log: Path) -> list[Copy]:
    """The copies of a log, oldest first. Those of Debian's logrotate, such as access.log.1, count, too."""
    found: list[Copy] = []
    for path in log.parent.glob(f"{log.name}[-.][0-9]*"):
        with suppress(FileNotFoundError):
            file = path.stat()
            found.append(Copy(path, file.st_size, file.st_mtime))
    return sorted(found, key=lambda copy: (copy.ended, copy.path.name))


def _new_day(paths: Paths) -> Path | None:
    """A file that notes this day (UTC) once it replaces ``log_day``, or None if the day is noted already.

    None, too, if the file can't be written, such as on a full disk: otherwise each run would rotate the logs.
    """
    today, note = time.strftime("%Y-%m-%d", time.gmtime()), paths.log_day.with_suffix(".new")
    with suppress(FileNotFoundError):
        if paths.log_day.read_text() == today:
            return None
    try:
        note.write_text(today)
    except OSError as error:
        say(f"the daily rotation of the logs waits: {error}")
        return None
    return note


def _rename(log: Path) -> None:
    """Make the log a copy, and create an empty one with the same owner and mode."""
    file, name = log.stat(), time.strftime(f"{log.name}-%Y%m%dT%H%M%S", time.gmtime())
    if (log.parent / name).exists() or (log.parent / f"{name}.gz").exists():
        return
    log.rename(log.parent / name)
    with suppress(FileExistsError):
        _create(log)
    log.chmod(file.st_mode & 0o777)
    with suppress(PermissionError):
        os.chown(log, file.st_uid, file.st_gid)


def _create(log: Path) -> None:
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE))
    _own(log)


def _own(file: Path) -> None:
    # A test isn't root, or has no such user.
    with suppress(PermissionError, KeyError):
        os.chown(file, pwd.getpwnam(OWNER).pw_uid, grp.getgrnam(GROUP).gr_gid)


def _delete_old(paths: Paths, logs: list[Path], days: int) -> None:
    """Delete the copies that have a line older than ``days`` days. Nothing has been written to them for a while."""
    for log in logs:
        seconds = WATCH_LOG_SECONDS if log == paths.access_log else days * DAY_SECONDS
        ended_before = 0.0
        for copy in copies(log):
            # A copy begins where the one before ends, and has the lines of a day at most.
            began = copy.ended if log == paths.access_log else max(ended_before, copy.ended - DAY_SECONDS)
            if began < time.time() - seconds:
                copy.path.unlink(missing_ok=True)
            ended_before = copy.ended


def _delete_beyond_limit(paths: Paths, logs: list[Path]) -> None:
    disk = os.statvfs(paths.logs)
    limit = min(MOST_COPIES_BYTES, int(disk.f_blocks * disk.f_frsize * DISK_SHARE))
    found = sorted((copy for log in logs for copy in copies(log)), key=lambda copy: copy.ended)
    total = sum(copy.size for copy in found)
    # Without its name, an open copy would fill the disk unseen, and its next lines would be lost.
    still_open = _open_files(paths) if total > limit else set[str]()
    for copy in found:
        if total <= limit:
            return
        if str(copy.path) in still_open:
            continue
        say(f"deleted {copy.path}: the copies of logs have {total >> 20} MB, and may have {limit >> 20} MB")
        copy.path.unlink(missing_ok=True)
        total -= copy.size


def _compress(path: Path) -> None:
    """Replace a copy by its compressed form. If this is killed, the next run repeats it."""
    file, part = path.stat(), path.with_name(f".{path.name}.gz")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with path.open("rb") as source, os.fdopen(descriptor, "wb") as target:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=target) as compressed:
            shutil.copyfileobj(source, compressed, 1024 * 1024)
        os.fchmod(target.fileno(), file.st_mode & 0o777)
        with suppress(PermissionError):
            os.fchown(target.fileno(), file.st_uid, file.st_gid)
    os.utime(part, (file.st_atime, file.st_mtime))
    part.rename(path.with_name(f"{path.name}.gz"))
    path.unlink()


def _remove_parts(paths: Paths) -> None:
    """Remove what a run that was killed has left."""
    for folder in (paths.nginx_logs, paths.logs, paths.logs / "apt", paths.logs / "unattended-upgrades"):
        for part in folder.glob(".*.gz"):
            part.unlink(missing_ok=True)


def _reopen(paths: Paths) -> None:
    """Let Nginx open its new logs if it still writes to copies, and wait until it does.

    No line is lost: Nginx writes what it has buffered into the old file first.
    """
    deadline = time.monotonic() + REOPEN_SECONDS
    # https://nginx.org/en/docs/control.html. After host/nginx_upgrade.py, the new master is a child of the old one. The
    # old one ignores this signal once it ends, but its workers don't, and they may serve a WebSocket for an hour.
    for process in _nginx_processes(paths):
        if process.has_copy:
            with suppress(ProcessLookupError):
                os.kill(process.id, signal.SIGUSR1)
    # Workers write the access logs. A master that ends keeps its copies open until its last worker has ended.
    while any(process.has_copy and not process.is_master for process in _nginx_processes(paths)):
        if time.monotonic() >= deadline:
            say("Nginx still writes to a copy of its log; the next run tells it again to open the new one")
            return
        time.sleep(0.1)


def _open_files(paths: Paths) -> set[str]:
    """The paths of the files that Nginx has open."""
    return {name for process in _nginx_processes(paths) for name in process.files}


def _nginx_processes(paths: Paths) -> Iterator[_Process]:
    """Nginx's masters and workers. A process that ends meanwhile is left out."""
    for folder in paths.processes_now.glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            # The app can give a process this title, too, and let it hold copies for ever.
            if not _is_owners(folder):
                continue
            # Before Nginx has this title, the signal would end it.
            title = (folder / "cmdline").read_bytes()
            if title.startswith((b"nginx: master", b"nginx: worker")):
                yield _Process(int(folder.name), title.startswith(b"nginx: master"), open_files.of(folder))


def _is_owners(process: Path) -> bool:
    """Whether it is a process of this program's user or of Nginx's workers."""
    user = process.stat().st_uid
    with suppress(KeyError):
        return user in (os.getuid(), pwd.getpwnam(OWNER).pw_uid)
    return user == os.getuid()
