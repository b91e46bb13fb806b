"""The server's history: each preparation, release, confirmation and rollback, with its time, operator and result."""

from __future__ import annotations

import json
import os
import pwd
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from host import files
from host.console import Phases, say
from host.paths import Paths
from host.reason import reason_of

# A file with more entries than the first number is cut to the second.
MOST_ENTRIES = 2000
KEPT_ENTRIES = 1500
GOOD_RESULTS = ("prepared", "serving", "unchanged", "on probation")


@dataclass
class Entry:
    """One run that prepared, released, confirmed or rolled back a release. ``phases`` has the seconds of each phase.

    ``result`` is one of: prepared (on one of several servers), serving, unchanged, on probation (until all
    servers serve it), failed (it never served), rolled back, interrupted, or stuck (it is unhealthy, and the previous
    deployment doesn't start any more). Entries of earlier versions say reverted for rolled back.
    """

    release: str
    deployment: str
    by: str
    source: str
    revision: str | None = None
    began: str = field(default_factory=lambda: utc(time.time()))
    seconds: float = 0.0
    phases: Phases = field(default_factory=Phases)
    result: str = "interrupted"
    reason: str | None = None
    # Seconds of the watch that the release passed.
    watched: float = 0.0


def new_entry(release: str, deployment: str, revision: str | None = None) -> Entry:
    """An entry for a run that begins now, with the operator's login and address; ``revision`` is the source."""
    login, address = operator()
    return Entry(release=release, deployment=deployment, by=login, source=address, revision=revision)


@contextmanager
def recording(paths: Paths, entry: Entry, variables: Mapping[str, str] | None = None) -> Generator[Entry]:
    """Write ``entry`` when the block ends, also when it fails. If this run is killed, the next run writes the entry,
    with the phases up to the kill.

    The reason of a failure doesn't contain values of the app's ``variables``, which may be secret.
    """
    start = time.monotonic()
    _record_killed_run(paths)
    _write(lambda: files.write(paths.unfinished_entry, _line(entry), 0o600))
    entry.phases.changed = lambda: _update(paths.unfinished_entry, entry, time.monotonic() - start)
    try:
        yield entry
    except BaseException as error:
        if entry.result == "interrupted":
            entry.result = "failed"
        entry.reason = reason_of(error, variables or {})
        raise
    finally:
        entry.phases.changed = None
        entry.seconds = round(time.monotonic() - start, 3)
        _write(lambda: _append(paths.history, _line(entry)))
        _write(lambda: paths.unfinished_entry.unlink(missing_ok=True))


def last_entries(paths: Paths, count: int) -> list[dict[str, Any]]:
    """The last entries, newest last. A line that a power cut left incomplete is skipped."""
    entries: list[dict[str, Any]] = []
    with suppress(FileNotFoundError):
        for line in paths.history.read_bytes().splitlines():
            with suppress(ValueError):
                entries.append(_parsed(line))
    return entries[-count:]


def passed_watch(paths: Paths, deployment: str, seconds: float) -> bool:
    """Whether the deployment passed a watch of at least ``seconds`` here, and had no bad result since."""
    for entry in reversed(last_entries(paths, MOST_ENTRIES)):
        if entry["deployment"] == deployment:
            if entry["result"] not in GOOD_RESULTS:
                return False
            if entry.get("watched", 0) >= seconds:
                return True
    return False


def operator() -> tuple[str, str]:
    """Who runs this command: the login, and the client address of the SSH connection or "console"."""
    # sudo drops SSH_CONNECTION from the variables, but a parent process still has it.
    process, address = os.getpid(), "console"
    while process > 1:
        variables = _variables(process)
        if "SSH_CONNECTION" in variables:
            address = variables["SSH_CONNECTION"].split()[0]
            break
        process = _parent(process)
    return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name, address


def utc(seconds: float) -> str:
    """A time in seconds since the epoch, as text."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def seconds(text: str) -> float:
    """The time in a text of ``utc``, in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def utc_microseconds(seconds: float) -> str:
    """The same to the microsecond, so that no two runs print the same time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _variables(process: int) -> dict[str, str]:
    try:
        content = Path(f"/proc/{process}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in content.split("\0") if "=" in entry)


def _parent(process: int) -> int:
    try:
        # The name is in parentheses and may contain anything. After it come the state and the parent.
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry)).encode() + b"\n"


def _update(path: Path, entry: Entry, seconds: float) -> None:
    """Write the entry of the run in progress as it will be if the run is killed now."""
    reason = f"in the phase {entry.phases.running}" if entry.phases.running else None
    now = replace(entry, seconds=round(seconds, 3), result="interrupted", reason=reason)
    temporary = path.with_name(f".{path.name}")
    # The first write has told about a full disk. Without fsync, because a power cut loses only the last phases.
    with suppress(OSError):
        temporary.write_bytes(_line(now))
        temporary.chmod(0o600)
        temporary.replace(path)


def _parsed(line: bytes) -> dict[str, Any]:
    """The entry in a line. Raises ValueError for a line without one."""
    document: object = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError("not an entry")
    entry = cast("dict[str, Any]", document)
    # Earlier versions called a deployment an instance.
    if "instance" in entry:
        entry["deployment"] = entry.pop("instance")
    return entry


def _record_killed_run(paths: Paths) -> None:
    """Append the entry of the run before this one if that run was killed."""
    if paths.unfinished_entry.exists():
        _write(lambda: _append(paths.history, paths.unfinished_entry.read_bytes()))


def _append(path: Path, line: bytes) -> None:
    content = path.read_bytes() if path.exists() else b""
    if content.count(b"\n") >= MOST_ENTRIES:
        files.write(path, b"".join(content.splitlines(keepends=True)[-KEPT_ENTRIES:]) + line, 0o600)
        return
    # A power cut may have left an incomplete line. It must not spoil this one.
    start = b"\n" if content and not content.endswith(b"\n") else b""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(start + line)
        stream.flush()
        os.fsync(stream.fileno())


def _write(step: Callable[[], object]) -> None:
    """Run ``step``. A history that can't be written, for example on a full disk, must not fail a release."""
    try:
        step()
    except OSError as error:
        say(f"the history can't be written: {error}")
