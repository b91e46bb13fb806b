"""Sends requests to a stack for a limited time and counts how they ended."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SCRIPT = """
wrk.method = "METHOD"
wrk.body = string.rep("x", 512)
setup = function(only_thread) thread = only_thread end
init = function() statuses = "" end
response = function(status)
  if status > 399 then statuses = statuses .. " " .. status end
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write("statuses:" .. thread:get("statuses") .. "\\n")
  io.write(string.format("requests=%d connect=%d read=%d write=%d timeout=%d max=%d\\n",
    summary.requests, e.connect, e.read, e.write, e.timeout, latency.max))
end
"""
PAUSE = "delay = function() return {milliseconds} end\n"


@dataclass
class Load:
    """The results, which are set when the load has ended.

    ``failed`` has the counts by kind of failure, such as ``timeout`` or ``status 502``.
    """

    requests: int = 0
    worst_seconds: float = 0.0
    failed: dict[str, int] = field(default_factory=dict[str, int])


@contextmanager
def load(
    url: str,
    folder: Path,
    *,
    host: str = "",
    method: str = "POST",
    connections: int = 8,
    seconds: int = 300,
    # Limits the load to about 300 requests a second, so that the servers have time for the release under test.
    pause_ms: int = 25,
) -> Iterator[Load]:
    """Send requests while the block runs, one after the other on each of several keep-alive connections."""
    script = folder / f"{method}.lua"
    pause = PAUSE.format(milliseconds=pause_ms) if pause_ms else ""
    script.write_text(SCRIPT.replace("METHOD", method) + pause)
    command = [
        "wrk",
        "--threads=1",
        f"--connections={connections}",
        f"--duration={seconds}s",
        # A request without an answer by then has failed. While machines are created, the disk of a busy computer has
        # stopped all of them for five seconds.
        "--timeout=10s",
        f"--script={script}",
        *(["--header", f"Host: {host}"] if host else []),
        url,
    ]
    results = Load()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as wrk:
        try:
            time.sleep(1)
            yield results
            time.sleep(1)
            assert wrk.poll() is None, "the load ended before the block did"
        finally:
            wrk.send_signal(signal.SIGINT)
            report = wrk.communicate(timeout=30)[0]
    counts = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", report)}
    assert counts, report
    results.requests, results.worst_seconds = counts.pop("requests"), counts.pop("max") / 1e6
    statuses = Counter(re.findall(r"\d+", report.partition("statuses:")[2].partition("\n")[0]))
    results.failed = {name: count for name, count in counts.items() if count}
    results.failed |= {f"status {status}": count for status, count in statuses.items()}
