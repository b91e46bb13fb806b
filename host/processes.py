"""What runs beside the web process: the Procfile's other types as services, and cron entries as timers.

Each is named by its instance, so that those of two releases are told apart, and never changes once it is there.
``Paths.processes_record`` says which of them should run; whatever isn't in it is stopped and removed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from host import cron, files, procfile, release_process, serving, systemd, web
from host.console import phase, say
from host.errors import ReleaseError
from host.paths import Paths

# How long a new process must have been up, without a restart, to count as started.
STAY_SECONDS = 3.0
_OWN_PHASES = ("web", "release")
_PATTERNS = ("gantry-process@*.service", "gantry-cron@*.service", "gantry-cron@*.timer")


@dataclass(frozen=True)
class Plan:
    """What this server runs beside web: how many of each type (1 where nothing is said), and what at which times.

    ``first`` is for one server of a rollout: only it runs the release process, unless that has ``migrated`` in its
    preparation, and cron entries.
    """

    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    cron: tuple[cron.Entry, ...] = ()
    first: bool = False
    migrated: bool = False


@dataclass(frozen=True)
class Process:
    """One service, or one timer with the service that it starts."""

    name: str
    label: str
    command: str
    schedule: str | None = None

    @property
    def unit(self) -> str:
        return f"gantry-cron@{self.name}.timer" if self.schedule else f"gantry-process@{self.name}.service"


def prepare(paths: Paths, instance: web.Instance, venv: Path, plan: Plan) -> None:
    """Before anything is switched: refuse what can't be run later, and run the release process."""
    types = {process.label.partition(".")[0] for process in _wanted(paths, instance, plan)}
    for name in sorted(name for name, count in plan.counts.items() if count and name not in types):
        say(f"no {name} will run: the Procfile of {instance.release} has none")
    if plan.first and not plan.migrated:
        release_process.run(paths, instance, venv)


def start(paths: Paths, instance: web.Instance, plan: Plan) -> None:
    """Run what is planned for ``instance``, which serves; raises ReleaseError when a process doesn't stay up."""
    wanted = _wanted(paths, instance, plan)
    states = systemd.listed(*_PATTERNS)
    recorded = _recorded(paths)
    # One that has crashed since is being restarted by systemd, which is nothing to this release.
    well = {unit for unit, state in states.items() if state == "active" or (state == "activating" and unit in recorded)}
    new = [process for process in wanted if process.unit not in well]
    services = [process for process in wanted if not process.schedule]
    if wanted or recorded:
        with phase("processes") as notes:
            try:
                _start(paths, instance, new, services)
            except BaseException:
                _stop(process.unit for process in new)
                raise
            # From here on these come back after a reboot, and others don't.
            record = json.dumps([process.unit for process in wanted])
            files.write(paths.processes_record, record.encode(), 0o600)
            notes.append(f"{len(services)} running, {len(wanted) - len(services)} timers, {len(new)} started")


def retire(paths: Paths) -> None:
    """Let what shouldn't run finish its work and end, without waiting for it; jobs of cron are left to finish."""
    recorded, before = _recorded(paths), _before(paths)
    _stop(unit for unit in systemd.running("gantry-process@*.service") if unit not in recorded)
    gone = [folder for folder in paths.units.glob("gantry-cron@*.timer.d") if folder.name[:-2] not in recorded]
    for folder in gone:
        systemd.systemctl("stop", folder.name[:-2])
        if folder.name[:-2] not in before:
            shutil.rmtree(folder)
    if gone:
        systemd.systemctl("daemon-reload")


def remember(paths: Paths) -> None:
    """Keep what is needed to run again what runs now, for ``go_back``; what is kept already stays."""
    if _remembered(paths) is None:
        record = {"instance": serving.proven(paths), "units": sorted(_recorded(paths))}
        files.write(paths.processes_before, json.dumps(record).encode(), 0o600)


def forget_remembered(paths: Paths) -> None:
    paths.processes_before.unlink(missing_ok=True)


def go_back(paths: Paths) -> None:
    """Run what ``remember`` was called for, or what the record says; nothing is waited for."""
    before = _remembered(paths)
    if before is not None:
        files.write(paths.processes_record, json.dumps(sorted(before)).encode(), 0o600)
    retire(paths)
    forget_remembered(paths)
    if recorded := _recorded(paths):
        systemd.systemctl("start", "--no-block", *sorted(recorded))


def discard(paths: Paths, instance: str) -> None:
    """Stop what a failed instance has started, and wait until it has ended: its code will be removed."""
    mine = [unit for unit in systemd.running("gantry-process@*.service") if _instance_of(unit) == instance]
    if mine:
        systemd.systemctl("stop", *mine)
        systemd.systemctl("reset-failed", *mine)
    forget(paths)


def running() -> list[str]:
    """The names of the services that run, ``<instance>-<type>-<number>``, and of jobs of cron."""
    return sorted(map(_name_of, systemd.running(*_PATTERNS[:2])))


def in_use() -> set[str]:
    """The instances whose code some process still runs."""
    return {_instance_of(unit) for unit in systemd.running(*_PATTERNS[:2], "gantry-release@*.service")}


def forget(paths: Paths) -> None:
    """Remove the files of processes that have ended and shouldn't run."""
    keep = {_name_of(unit) for unit in _recorded(paths) | _before(paths) | systemd.running(*_PATTERNS)}
    for folder in paths.processes.glob("*"):
        if folder.name not in keep:
            systemd.systemctl("reset-failed", f"gantry-*@{folder.name}.service")
            shutil.rmtree(folder)


def _wanted(paths: Paths, instance: web.Instance, plan: Plan) -> list[Process]:
    """What should run; raises ReleaseError for what can't."""
    release = paths.releases / instance.release
    others = {name: command for name, command in procfile.of(release).items() if name not in _OWN_PHASES}
    found = [
        Process(f"{instance.name}-{name}-{number}", f"{name}.{number}", command)
        for name, command in others.items()
        for number in range(1, plan.counts.get(name, 1) + 1)
    ]
    entries = [*plan.cron, *_app_entries(release)] if plan.first else []
    return found + [_timer(instance, entry) for entry in dict.fromkeys(entries)]


def _app_entries(release: Path) -> list[cron.Entry]:
    file = release / "app.json"
    return cron.app_entries(file.read_text("utf-8-sig")) if file.is_file() else []


def _timer(instance: web.Instance, entry: cron.Entry) -> Process:
    for calendar in cron.calendar(entry.schedule):
        if not systemd.accepts(calendar):
            raise ReleaseError(f"the schedule {entry.schedule!r} {cron.RULE}")
    digest = hashlib.sha256(f"{entry.schedule}\n{entry.command}".encode()).hexdigest()[:6]
    return Process(f"{instance.name}-{digest}", entry.command, entry.command, entry.schedule)


def _start(paths: Paths, instance: web.Instance, new: list[Process], services: list[Process]) -> None:
    for process in new:
        _write(paths, instance, process)
    if any(process.schedule for process in new):
        systemd.systemctl("daemon-reload")
    started = [process for process in services if process in new]
    for process in started:
        if systemd.systemctl("start", process.unit).returncode != 0:
            raise _failure(process)
    _stay_up(started)
    for process in new:
        if process.schedule and systemd.systemctl("start", process.unit).returncode != 0:
            raise _failure(process)


def _write(paths: Paths, instance: web.Instance, process: Process) -> None:
    """The folder that the unit runs in: the command, and links to what belongs to its instance."""
    folder = paths.processes / process.name
    folder.mkdir(parents=True, exist_ok=True)
    for link in ("app", "venv"):
        files.point(folder / link, (paths.instances / instance.name / link).readlink())
    files.point(folder / "environment", paths.environments / instance.name)
    alone: list[str] = []
    if process.schedule:
        # One release's timer can't start a unit that another release's has started, so systemd alone wouldn't prevent
        # two runs at once.
        lock = f"/run/gantry/cron-{hashlib.sha256(process.command.encode()).hexdigest()[:12]}.lock"
        alone = [f"exec 9>{lock}", "flock --nonblock 9 || { echo 'left out: the last run is not over'; exit 0; }"]
        timer = [f"OnCalendar={calendar}\n" for calendar in cron.calendar(process.schedule)]
        files.write(paths.units / f"{process.unit}.d/schedule.conf", "".join(["[Timer]\n", *timer]).encode(), 0o644)
    files.write(folder / "run", procfile.script(process.command, *alone), 0o755)


def _stay_up(started: list[Process]) -> None:
    deadline = time.monotonic() + STAY_SECONDS
    while started:
        for process in started:
            if systemd.show(process.unit, "ActiveState", "NRestarts") != {"ActiveState": "active", "NRestarts": "0"}:
                raise _failure(process)
        if time.monotonic() >= deadline:
            return
        time.sleep(0.2)


def _failure(process: Process) -> ReleaseError:
    return ReleaseError(f"{process.label} doesn't stay up:\n{systemd.journal(process.unit)}")


def _stop(units: Iterable[str]) -> None:
    if stopped := sorted(units):
        systemd.systemctl("stop", "--no-block", *stopped)


def _recorded(paths: Paths) -> set[str]:
    return set(json.loads(paths.processes_record.read_text())) if paths.processes_record.exists() else set()


def _before(paths: Paths) -> set[str]:
    return _remembered(paths) or set()


def _remembered(paths: Paths) -> set[str] | None:
    """What is kept for the proven instance; a run that was killed may have left what belongs to one before."""
    if paths.processes_before.exists():
        kept = json.loads(paths.processes_before.read_text())
        if kept["instance"] == serving.proven(paths):
            return set(kept["units"])
    return None


def _name_of(unit: str) -> str:
    return unit.partition("@")[2].rpartition(".")[0]


def _instance_of(unit: str) -> str:
    """``<release>-<6 hex digits>``, whatever follows."""
    return "-".join(_name_of(unit).split("-")[:2])
