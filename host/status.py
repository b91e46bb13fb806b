"""The status of this server: what it serves, what it keeps, and its last releases."""

from __future__ import annotations

import time
from typing import Any

from host import deployment, history, processes, state, updates
from host.paths import Paths

SHOWN_ENTRIES = 10


def status(paths: Paths) -> dict[str, Any]:
    """The status for programs. ``kept`` begins with the oldest release, ``history`` with the oldest entry."""
    name = state.current(paths)
    return {
        "release": name and deployment.release_of(name),
        "deployment": name,
        # Differs from the deployment while that is on probation: a rollback returns to this one.
        "proven": state.proven(paths),
        "active": bool(name) and deployment.is_active(name),
        "since": history.utc(state.switched_at(paths)) if name else None,
        "processes": processes.running() if name else [],
        "kept": state.kept_releases(paths),
        "updates": updates.report(paths, time.time()),
        "certificate": _certificate(paths),
        "history": history.last_entries(paths, SHOWN_ENTRIES),
    }


def _certificate(paths: Paths) -> dict[str, Any] | None:
    """None if the site shall have no certificate. ``late`` says that its renewal has failed for long."""
    from host.certificates import overview

    if (found := overview.read(paths)) is None:
        return None
    problem = found.record.problem if found.record else ""
    return {"lines": found.lines, "late": found.is_late(time.time()), "problem": problem}


def text(report: dict[str, Any]) -> str:
    """The status for people, with the newest release first."""
    if report["release"]:
        serves = "is serving" if report["active"] else "should serve, but doesn't run,"
        lines = [f"release {report['release']} {serves} since {report['since']}"]
    else:
        lines = ["no release yet"]
    if report["proven"] not in (report["deployment"], None):
        lines.append(f"on probation: rolls back to {deployment.release_of(report['proven'])} unless it is confirmed")
    if report["processes"]:
        lines.append(f"other processes: {' '.join(report['processes'])}")
    if report["updates"]:
        lines.append(f"security updates: {report['updates']}")
    if certificate := report["certificate"]:
        lines += ["WARNING: the certificate ends soon, and wasn't renewed"] if certificate["late"] else []
        lines += certificate["lines"]
    lines.append(f"kept: {' '.join(report['kept']) or 'none'}")
    lines += [_line(entry) for entry in reversed(report["history"])]
    return "\n".join(lines)


def _line(entry: dict[str, Any]) -> str:
    revision = f" ({entry['revision']})" if entry["revision"] else ""
    reason = f": {entry['reason'].splitlines()[0]}" if entry["reason"] else ""
    operator = f"by {entry['by']} from {entry['source']}"
    return (
        f"{entry['began']}  {entry['release']}{revision}  {entry['seconds']:6.2f} s  {operator}"
        f"  {entry['result']}{reason}"
    )
