"""A bounded load on a stack's address, and what came of its requests."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SCRIPT = """
wrk.method = "METHOD"
wrk.body = string.rep("x", 512)
-- Some hundred requests a second, so that the machines have time for what is tested.
delay = function() return 10 end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("requests=%d status=%d connect=%d read=%d write=%d timeout=%d max=%d\\n",
    summary.requests, e.status, e.connect, e.read, e.write, e.timeout, latency.max))
end
"""


@dataclass
class Load:
    """``failed`` counts by kind; both are there once the load has ended."""

    requests: int = 0
    worst_seconds: float = 0.0
    failed: dict[str, int] = field(default_factory=dict[str, int])


@contextmanager
def load(url: str, folder: Path, method: str = "POST", connections: int = 8, seconds: int = 300) -> Iterator[Load]:
    """Keep-alive requests, one after the other on each connection, while the block runs."""
    script = folder / f"{method}.lua"
    script.write_text(SCRIPT.replace("METHOD", method))
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s"]
    found = Load()
    with subprocess.Popen(
        [*command, f"--script={script}", url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        try:
            time.sleep(1)
            yield found
            time.sleep(1)
            assert run.poll() is None, "the load ended before what it was to accompany"
        finally:
            run.send_signal(signal.SIGINT)
            said = run.communicate(timeout=30)[0]
    counts = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", said)}
    assert counts, said
    found.requests, found.worst_seconds = counts.pop("requests"), counts.pop("max") / 1e6
    found.failed = {kind: count for kind, count in counts.items() if count}
