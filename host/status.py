"""What this server serves and has served, for programs and for people."""

from __future__ import annotations

from typing import Any

from host import history, processes, serving, web
from host.paths import Paths

SHOWN_ENTRIES = 10


def status(paths: Paths) -> dict[str, Any]:
    """What serves and since when, what is kept, oldest first, and the last releases, newest last."""
    name, proven = serving.current(paths), serving.proven(paths)
    return {
        "release": name and web.release_of(name),
        "instance": name,
        # Another one than the instance while that is being tried: what it goes back to.
        "proven": proven,
        "active": bool(name) and web.is_active(name),
        "since": history.utc(paths.current.lstat().st_mtime) if name else None,
        "processes": processes.running() if name else [],
        "kept": serving.kept(paths),
        "history": history.last(paths, SHOWN_ENTRIES),
    }


def text(found: dict[str, Any]) -> str:
    """The same for people, newest first."""
    if found["release"]:
        state = "is serving" if found["active"] else "should serve, but doesn't run,"
        lines = [f"release {found['release']} {state} since {found['since']}"]
    else:
        lines = ["no release yet"]
    if found["proven"] not in (found["instance"], None):
        lines.append(f"being tried: goes back to {web.release_of(found['proven'])} unless it is confirmed")
    if found["processes"]:
        lines.append(f"beside web: {' '.join(found['processes'])}")
    lines.append(f"kept: {' '.join(found['kept']) or 'none'}")
    lines += [_line(entry) for entry in reversed(found["history"])]
    return "\n".join(lines)


def _line(entry: dict[str, Any]) -> str:
    revision = f" ({entry['revision']})" if entry["revision"] else ""
    why = f": {entry['reason'].splitlines()[0]}" if entry["reason"] else ""
    who = f"by {entry['by']} from {entry['source']}"
    return f"{entry['began']}  {entry['release']}{revision}  {entry['seconds']:6.2f} s  {who}  {entry['result']}{why}"
