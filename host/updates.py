"""`gantry update`: security updates, restarts of what runs with old code, and a reboot if one is needed and allowed.

A timer runs it at the beginning of this server's slot (``host.update_window``). Behind a balancer, the server is
drained before Nginx is replaced and before a reboot.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import NoReturn

from host import files, history, outdated, reboot, systemd, times, update_packages, update_window
from host.console import phase, say
from host.errors import ReleaseError
from host.lock import exclusive
from host.paths import Paths
from host.update_window import SLOT_SECONDS, Plan

# How long to wait for a release in progress.
WAIT_SECONDS = 300.0
# The name of a run in the server's lock.
HOLDER = "its security updates"


@dataclass
class Record:
    """The last run: when it began (UTC), its result, and what it did. ``reason`` says why it failed.

    The results: running (or killed), updated, failed, rebooting. ``failing_since`` is when the first run began that
    failed, or was killed, after the last success; empty if the last run succeeded.
    """

    began: str
    result: str = "running"
    packages: list[str] = field(default_factory=list[str])
    restarted: list[str] = field(default_factory=list[str])
    outdated: list[str] = field(default_factory=list[str])
    reason: str = ""
    failing_since: str = ""


def update(paths: Paths, *, at_once: bool = False, settle: float = times.SETTLE_SECONDS) -> None:
    """Update this server if its slot has begun, or ``at_once``. Raises ReleaseError if that fails.

    Nothing is changed during a release, and no release begins meanwhile. ``settle`` is for ``reboot.drain``.
    """
    now = time.time()
    plan = update_window.read(paths) or Plan(window=None)
    end = now + SLOT_SECONDS if at_once else plan.slot_end(now)
    if end is None:
        next_slot = plan.next_slot(now)
        say(f"not now: the next slot of this server begins at {history.utc(next_slot)}" if next_slot else OFF)
        return
    with _recording(paths) as record, exclusive(paths.lock, HOLDER, WAIT_SECONDS):
        if paths.probation.exists():
            raise ReleaseError("a rollout over several servers is in progress: the next slot tries again")
        # A run before this one may have been killed.
        reboot.end_drain(paths)
        paths.last_responses.unlink(missing_ok=True)
        with phase("packages") as notes:
            record.packages, failure = update_packages.install(paths, end - reboot.LATEST_SECONDS)
            notes.append("failed" if failure else ", ".join(record.packages) or "no updates")
        # Also after a failure: packages may have changed before it, in this run or in the last one.
        record.reason = str(failure or "")
        try:
            _activate(paths, plan, record, end=end, settle=settle)
        except (ReleaseError, OSError) as error:
            raise ReleaseError("\n".join(filter(None, (record.reason, str(error))))) from error
        if failure:
            raise failure


OFF = "security updates are left to you: updateWindow is none"


def _activate(paths: Paths, plan: Plan, record: Record, *, end: float, settle: float) -> None:
    """Reboot, or restart what runs with old code. A reboot is also for daemons that can't be restarted."""
    may_reboot = plan.reboots and not (record.reason and not update_packages.are_complete())
    latest = end - reboot.LATEST_SECONDS
    if reboot.is_required(paths) and may_reboot and time.time() < latest:
        _reboot(paths, plan, record, reason=reboot.reason(paths), settle=settle)
    if names := outdated.units():
        has_nginx = systemd.NGINX in names
        with phase("restart") as notes, _drained(paths, settle) if plan.drains and has_nginx else nullcontext():
            record.outdated = outdated.restart(paths, names)
            record.restarted = [name for name in names if name not in record.outdated]
            notes.append(", ".join(record.restarted) or "nothing")
    # Only after a change of packages: needrestart may name a program after each reboot.
    if record.outdated and record.packages and may_reboot and time.time() < latest:
        _reboot(paths, plan, record, reason=", ".join(record.outdated), settle=settle)
    if reboot.is_required(paths):
        say(f"a reboot is pending: {reboot.reason(paths)}")


def _reboot(paths: Paths, plan: Plan, record: Record, *, reason: str, settle: float) -> NoReturn:
    """Drain the server and reboot it. `gantry resume` ends the drain. Raises ReleaseError if the shutdown hangs."""
    say(f"this server reboots: {reason}")
    try:
        if plan.drains:
            reboot.drain(paths, settle)
        record.result = "rebooting"
        record.failing_since = (record.failing_since or record.began) if record.reason else ""
        _write(paths, record)
        reboot.reboot()
    except (ReleaseError, OSError):
        # There is no boot. The end of this program during a shutdown doesn't come here, so the drain lasts.
        reboot.end_drain(paths)
        raise


@contextmanager
def _drained(paths: Paths, settle: float) -> Generator[None]:
    """Sends visitors to other servers during the block."""
    try:
        reboot.drain(paths, settle)
        yield
    finally:
        reboot.end_drain(paths)


@contextmanager
def _recording(paths: Paths) -> Generator[Record]:
    """Keeps the result of the block for `gantry check` and `gantry status`."""
    record, before = Record(history.utc(time.time())), last_run(paths)
    if before:
        record.failing_since = before.failing_since or (before.began if before.result in ("running", "failed") else "")
    _write(paths, record)
    try:
        yield record
        record.result, record.failing_since = "updated", ""
    except (ReleaseError, OSError) as error:
        record.result, record.reason = "failed", str(error)
        record.failing_since = record.failing_since or record.began
        raise
    finally:
        _write(paths, record)


def _write(paths: Paths, record: Record) -> None:
    files.write(paths.update_record, json.dumps(asdict(record)).encode(), 0o644)


def last_run(paths: Paths) -> Record | None:
    """The last run; None if there was none yet."""
    try:
        return Record(**json.loads(paths.update_record.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def failing_seconds(paths: Paths, now: float) -> float:
    """For how long each run has failed or was killed; 0 if the last one succeeded or is the first."""
    run = last_run(paths)
    return now - history.seconds(run.failing_since) if run and run.failing_since else 0.0


def report(paths: Paths, now: float) -> str:
    """One line about the last run, the next one and a pending reboot; empty on a server without this configuration."""
    plan, run = update_window.read(paths), last_run(paths)
    if plan is None:
        return ""
    next_slot = plan.next_slot(now)
    parts = [_result(run) if run else "not run yet", f"next {history.utc(next_slot)}" if next_slot else "off"]
    if reboot.is_required(paths):
        how = "in the next slot" if plan.reboots and next_slot else "run `sudo reboot`"
        parts.append(f"a reboot is pending ({reboot.reason(paths)}): {how}")
    return "; ".join(parts)


def _result(run: Record) -> str:
    if run.result == "failed":
        # The first line names the step, and the second one the cause.
        return f"failed {run.began}: {' '.join(run.reason.splitlines()[:2])}"
    words = {"running": "running, or interrupted, since", "rebooting": "rebooted"}
    text = f"{words.get(run.result, run.result)} {run.began}"
    text += f" ({', '.join(run.packages)})" if run.packages else ""
    return text + (
        f", still with old code: {', '.join(run.outdated)} (only `sudo reboot` ends that)" if run.outdated else ""
    )
