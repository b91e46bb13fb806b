"""Security updates: the last run, the next one, and a reboot that is pending."""

from __future__ import annotations

import time
from collections.abc import Iterator

from host import reboot, updates
from host.layers.finding import Finding
from host.paths import Paths

LAYER = "updates"
FAILING_SECONDS = 7 * 24 * 60 * 60


def findings(paths: Paths) -> Iterator[Finding]:
    """A failed update is worth a line. It doesn't keep the site from answering, so it is broken only after a week."""
    if paths.drain_rule.exists():
        yield Finding(
            layer=LAYER,
            problem="this server was drained for a reboot: it accepts no requests until `gantry resume` has run",
            remedy="if no update is running: sudo gantry check --repair",
            repair=lambda: reboot.end_drain(paths),
        )
    now = time.time()
    if report := updates.report(paths, now):
        if updates.failing_seconds(paths, now) < FAILING_SECONDS:
            yield Finding(layer=LAYER, note=report)
        else:
            problem = f"for more than a week no update has succeeded; the last one: {report}"
            yield Finding(layer=LAYER, problem=problem, remedy="sudo gantry update --now")
