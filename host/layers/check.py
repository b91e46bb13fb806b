"""`gantry check`: walks the layers and prints which is broken and why. With --repair it repairs what it can."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from host import configure, lock, updates
from host.console import say
from host.errors import ReleaseError
from host.layers import app, balancer, certificate, firewall, machine, nginx
from host.layers import updates as updates_layer
from host.layers.finding import Finding
from host.paths import Paths

OK, BROKEN, REPAIRED = "ok", "broken", "repaired"
# With the start of the program and the other layers, the report is there within a second.
ANSWER_SECONDS = 0.4
# After a repair, an app may take longer to answer its first request.
REPAIRED_SECONDS = 5.0
# A repair may show the next broken layer. Each pass repairs at least one.
PASSES = 4


@dataclass
class Report:
    """The findings of the last walk, and the problems that were repaired before, by layer."""

    findings: list[Finding]
    repaired: list[Finding]

    @property
    def is_broken(self) -> bool:
        return any(finding.problem for finding in self.findings)

    def lines(self) -> list[str]:
        """The report for people: a line for each layer, and the remedies."""
        lines = [_line(finding.layer, REPAIRED, finding.problem) for finding in self.repaired]
        for finding in self.findings:
            state = BROKEN if finding.problem else OK
            lines.append(_line(finding.layer, state, finding.problem or finding.note))
            if finding.problem and finding.remedy:
                lines.append(f"{'':<13} remedy: {finding.remedy}")
        return lines

    def document(self) -> list[dict[str, Any]]:
        """The report for programs: layer, state, text and remedy of each finding."""
        return [
            {"layer": finding.layer, "state": state, "text": finding.problem or finding.note, "remedy": finding.remedy}
            for state, finding in (
                *((REPAIRED, finding) for finding in self.repaired),
                *((BROKEN if finding.problem else OK, finding) for finding in self.findings),
            )
        ]


def run(paths: Paths, *, repair: bool, as_json: bool, seconds: float | None = None) -> int:
    """Print the report. Returns the exit status: 1 if something is broken, else 0."""
    if repair:
        report = _repaired(paths, seconds or REPAIRED_SECONDS)
    else:
        report = Report(_findings(paths, seconds or ANSWER_SECONDS), [])
    say(json.dumps(report.document(), indent=2) if as_json else "\n".join(report.lines()))
    return 1 if report.is_broken else 0


def _findings(paths: Paths, seconds: float) -> list[Finding]:
    """What a walk finds, without what looks broken because an update restarts or drains it at this moment."""
    before = _is_updating(paths)
    findings = list(walk(paths, seconds))
    if before or _is_updating(paths):
        changed = (app.SOCKET, app.GUNICORN, app.OTHER, updates_layer.LAYER)
        return [
            Finding(layer=found.layer, note="an update is in progress")
            if found.problem and found.layer in changed
            else found
            for found in findings
        ]
    return findings


def _is_updating(paths: Paths) -> bool:
    return lock.holder(paths.lock).startswith(updates.HOLDER)


def walk(paths: Paths, seconds: float) -> Iterator[Finding]:
    """Look at each layer, from the outside to the app and then the machine."""
    yield firewall.finding(paths)
    found = nginx.finding(paths)
    yield found
    if balancer.is_balancer(paths):
        yield from balancer.findings(paths, seconds)
    else:
        yield from app.findings(paths, seconds, nginx_runs=not found.problem)
        yield from certificate.findings(paths)
    if edited := configure.edited(paths):
        yield Finding(layer="files", note=f"edited since the last `make up`: {', '.join(edited)}")
    yield machine.disk(paths)
    yield machine.memory()
    yield from updates_layer.findings(paths)


def _repaired(paths: Paths, seconds: float) -> Report:
    """Repair the broken layers that can be, and walk again until nothing can be repaired any more."""
    repaired: list[Finding] = []
    failed: dict[str, str] = {}
    # Nothing is changed during a release: what looks broken may be one of its steps.
    with lock.exclusive(paths.lock, "`gantry check --repair`"):
        for _ in range(PASSES):
            findings = list(walk(paths, seconds))
            to_repair = [finding for finding in findings if finding.repair and finding.problem not in failed]
            if not to_repair:
                break
            for finding in to_repair:
                if error := _try(finding):
                    failed[finding.problem] = error
                else:
                    repaired.append(finding)
        else:
            findings = list(walk(paths, seconds))
    return Report([_with_error(finding, failed) for finding in findings], _lasting(repaired, findings))


def _try(finding: Finding) -> str:
    """Repair a layer. Returns why that failed, or ""."""
    assert finding.repair
    try:
        finding.repair()
    except (ReleaseError, OSError) as error:
        return str(error)
    return ""


def _lasting(repaired: list[Finding], findings: list[Finding]) -> list[Finding]:
    """The repairs after which the same problem didn't come back, each once."""
    broken = {finding.problem for finding in findings}
    return list({finding.problem: finding for finding in repaired if finding.problem not in broken}.values())


def _with_error(finding: Finding, failed: dict[str, str]) -> Finding:
    if finding.problem not in failed:
        return finding
    return Finding(
        layer=finding.layer,
        problem=f"{finding.problem}; the repair failed: {failed[finding.problem]}",
        remedy=finding.remedy,
    )


def _line(layer: str, state: str, text: str) -> str:
    return f"{layer:<13} {state:<9} {text}".rstrip()
