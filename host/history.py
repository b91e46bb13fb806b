"""The server's own journal: which release, when, by whom and from where, how long it took, and how it ended."""

from __future__ import annotations

import json
import os
import pwd
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from host import files
from host.console import say
from host.paths import Paths

# Above the first it is cut to the second.
MOST_ENTRIES = 1000
KEPT_ENTRIES = 500
REASON_CHARACTERS = 500
GOOD_RESULTS = ("prepared", "serving", "unchanged", "on probation")


@dataclass
class Entry:
    """One release.

    ``result`` is prepared (on the first of several servers), serving, unchanged, on probation (until the other servers
    serve it), failed (it never served), reverted, stuck (bad, and what served before doesn't start any more), or
    interrupted.
    """

    release: str
    instance: str
    by: str
    source: str
    revision: str | None = None
    began: str = field(default_factory=lambda: utc(time.time()))
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict[str, float])
    result: str = "interrupted"
    reason: str | None = None
    # Seconds of the watch that it stood.
    watched: float = 0.0


@contextmanager
def recorded(paths: Paths, entry: Entry) -> Generator[Entry]:
    """Write ``entry`` when the block ends, whichever way; of a killed run, the next one does it."""
    start = time.monotonic()
    _bury(paths)
    _write(lambda: files.write(paths.releasing, _line(entry), 0o600))
    try:
        yield entry
    except BaseException as error:
        if entry.result == "interrupted":
            entry.result = "failed"
        entry.reason = _reason(error)
        raise
    finally:
        entry.seconds = round(time.monotonic() - start, 3)
        _write(lambda: _append(paths.history, _line(entry)))
        _write(lambda: paths.releasing.unlink(missing_ok=True))


def last(paths: Paths, count: int) -> list[dict[str, Any]]:
    """The last entries, newest last; a line that a power cut left half is passed over."""
    found: list[dict[str, Any]] = []
    with suppress(FileNotFoundError):
        for line in paths.history.read_bytes().splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
    return found[-count:]


def stood(paths: Paths, instance: str, seconds: float) -> bool:
    """Whether it stood a watch of so many seconds on this server, and whatever came of it since was good."""
    for entry in reversed(last(paths, MOST_ENTRIES)):
        if entry["instance"] == instance:
            if entry["result"] not in GOOD_RESULTS:
                return False
            if entry.get("watched", 0) >= seconds:
                return True
    return False


def source() -> tuple[str, str]:
    """Who runs this and from where: the login and the address of the SSH connection, or "console".

    sudo drops the variable that tells it: an ancestor still has it.
    """
    process, address = os.getpid(), "console"
    while process > 1:
        environment = _environment(process)
        if "SSH_CONNECTION" in environment:
            address = environment["SSH_CONNECTION"].split()[0]
            break
        process = _parent(process)
    return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name, address


def _reason(error: BaseException) -> str:
    """The first line, and what it announces: the last one. The app's own words stay in its journal."""
    lines = str(error).splitlines() or [type(error).__name__]
    return (f"{lines[0]} {lines[-1]}" if lines[0].endswith(":") else lines[0])[:REASON_CHARACTERS]


def utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def precisely(seconds: float) -> str:
    """To the microsecond, which is the same in no two runs."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _environment(process: int) -> dict[str, str]:
    try:
        content = Path(f"/proc/{process}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in content.split("\0") if "=" in entry)


def _parent(process: int) -> int:
    try:
        # After the name, which is in parentheses and may hold anything: state, parent.
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry)).encode() + b"\n"


def _bury(paths: Paths) -> None:
    """Write down the run that was killed, if one was."""
    if paths.releasing.exists():
        _write(lambda: _append(paths.history, paths.releasing.read_bytes()))


def _append(path: Path, line: bytes) -> None:
    old = path.read_bytes() if path.exists() else b""
    if old.count(b"\n") >= MOST_ENTRIES:
        files.write(path, b"".join(old.splitlines(keepends=True)[-KEPT_ENTRIES:]) + line, 0o600)
        return
    # A power cut may have left half a line: it must not spoil this one.
    start = b"\n" if old and not old.endswith(b"\n") else b""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(start + line)
        stream.flush()
        os.fsync(stream.fileno())


def _write(step: Callable[[], object]) -> None:
    """A journal that can't be written, on a full disk say, must not decide how a release ends."""
    try:
        step()
    except OSError as error:
        say(f"the history can't be written: {error}")
