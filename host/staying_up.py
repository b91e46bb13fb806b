"""Checks that new processes of the Procfile stay up, and tells one that ends by itself from one that crashes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from host import explain, procfile, systemd
from host.errors import ReleaseError
from host.paths import Paths

# A new process counts as started after this many seconds without a restart.
STAY_SECONDS = 3.0
_PROPERTIES = ("ActiveState", "NRestarts", "ExecMainCode", "ExecMainStatus")


@dataclass(frozen=True)
class Process:
    """A service, or a timer with the service that it starts. Of a singleton, the whole fleet runs one."""

    name: str
    label: str
    command: str
    schedule: str | None = None
    is_singleton: bool = False

    @property
    def type(self) -> str:
        """The name of its line in the Procfile."""
        return self.label.rpartition(".")[0]

    @property
    def unit(self) -> str:
        return (systemd.CRON_TIMER if self.schedule else systemd.PROCESS_UNIT).format(self.name)


def check(paths: Paths, processes: Sequence[Process]) -> None:
    """Wait until the started services have been up for ``STAY_SECONDS``; raises ReleaseError if one has ended."""
    deadline = time.monotonic() + STAY_SECONDS
    while processes:
        for process in processes:
            properties = systemd.show(process.unit, *_PROPERTIES)
            if (properties["ActiveState"], properties["NRestarts"]) != ("active", "0"):
                raise _failure(paths, process, properties)
        if time.monotonic() >= deadline:
            return
        time.sleep(0.2)


def failure(paths: Paths, process: Process) -> ReleaseError:
    """The error for a process that doesn't start, with its last lines and what to change."""
    return _failure(paths, process, systemd.show(process.unit, *_PROPERTIES))


def _failure(paths: Paths, process: Process, properties: dict[str, str]) -> ReleaseError:
    lines = systemd.journal(process.unit)
    if process.schedule:
        return ReleaseError(f"the timer of {process.label!r} doesn't start:\n{lines}")
    app = paths.processes / process.name / "app"
    code, status = properties.get("ExecMainCode"), properties.get("ExecMainStatus", "")
    switch_off = f"pulumi config set --path processes.{process.type} 0"
    if (code, status) == (systemd.EXITED, "0"):
        release = procfile.read(app).get("release")
        line = f"release: {release} && {process.command}" if release else f"release: {process.command}"
        return ReleaseError(
            f"{process.label} ends by itself (exit status 0), but a process of the Procfile runs until it is"
            f" stopped:\n{lines}".rstrip(),
            f"If {process.type} belongs to each release, make it the release phase with the line `{line}`; or switch it"
            f" off with: {switch_off}",
        )
    advice = f"To release without {process.type}, switch it off with: {switch_off}"
    return ReleaseError(
        f"{process.label} doesn't stay up{systemd.end_of(code, status)}:\n{lines}".rstrip(),
        "\n".join(filter(None, (explain.explain(lines, app), advice))),
    )
