"""Runs everything besides the web process: the Procfile's other types as services, and cron entries as timers.

Each process is named by its deployment, so those of two releases can run side by side. Its files never change.
``Paths.processes_record`` lists the units that should run. Every other unit is stopped and removed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from host import cron, files, ports, procfile, release_phase, state, staying_up, systemd
from host.console import Phases, phase, say
from host.deployment import Deployment, Folders
from host.errors import ReleaseError
from host.packages import venv
from host.paths import Paths
from host.staying_up import Process

_SERVICES = systemd.PROCESS_UNIT.format("*")
_JOBS, _TIMERS = systemd.CRON_SERVICE.format("*"), systemd.CRON_TIMER.format("*")
_ALL = (_SERVICES, _JOBS, _TIMERS)


@dataclass(frozen=True)
class Plan:
    """The processes of this server except web: the number of services of each type (1 by default), and cron entries.

    ``first`` is set on one server of a rollout: only that one runs cron entries, the release phase and ``singletons``,
    the types of which the whole fleet runs one. ``migrated`` says that its release phase has already run, in the
    preparation.
    """

    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    cron: tuple[cron.Entry, ...] = ()
    singletons: frozenset[str] = frozenset()
    first: bool = False
    migrated: bool = False

    def count(self, name: str) -> int:
        """How many services of the type run on this server."""
        count = self.counts.get(name, 1)
        if name in self.singletons:
            return min(count, 1) if self.first else 0
        return count


def prepare(
    paths: Paths, deployment: Deployment, *, folders: Folders, plan: Plan, seconds: Phases | None = None
) -> None:
    """Before the switch: raise ReleaseError for a process that can't run, and run the release phase."""
    _planned(paths, deployment, plan)
    types = procfile.services(procfile.read(paths.releases / deployment.release))
    for name in sorted(name for name, count in plan.counts.items() if count and name not in types):
        say(f"no {name} will run: the Procfile of {deployment.release} has none")
    if plan.first and not plan.migrated:
        if "verify" in procfile.read(paths.releases / deployment.release):
            say("the line verify of the Procfile isn't run: the name is reserved")
        release_phase.run(paths, deployment, folders, seconds)


def start(paths: Paths, deployment: Deployment, plan: Plan, seconds: Phases | None = None) -> None:
    """Run the planned processes of ``deployment``, which serves; raises ReleaseError if one doesn't stay up."""
    planned = _planned(paths, deployment, plan)
    states = systemd.listed(*_ALL)
    recorded = _recorded(paths)
    # systemd restarts a recorded process that has crashed. It has stayed up before, so this release doesn't fail.
    restarting = {unit for unit, status in states.items() if status == "activating" and unit in recorded}
    healthy = restarting | {unit for unit, status in states.items() if status == "active"}
    new = [process for process in planned if process.unit not in healthy]
    timers = sum(process.schedule is not None for process in planned)
    if planned or recorded:
        with phase("processes", seconds) as notes:
            old_singletons = _others(process for process in new if process.is_singleton)
            try:
                _start(paths, deployment, new=new, old_singletons=old_singletons)
            except BaseException:
                _drain(process.unit for process in new)
                # Each waits for its lock, which the new one holds until it has ended.
                _start_again(old_singletons)
                raise
            # From now on, a reboot starts these and no others.
            _record(paths, [process.unit for process in planned])
            notes.append(f"{len(planned) - timers} running, {timers} timers, {len(new)} started")


def drain(paths: Paths) -> None:
    """Let processes that shouldn't run finish their work and end, in the background. Running cron jobs finish, too."""
    recorded, saved = _recorded(paths), _saved(paths) or set()
    _drain(unit for unit in systemd.running(_SERVICES) if unit not in recorded)
    drop_ins = paths.units.glob(f"{_TIMERS}.d")
    removed = [folder for folder in drop_ins if folder.name.removesuffix(".d") not in recorded]
    for folder in removed:
        timer = folder.name.removesuffix(".d")
        systemd.systemctl("stop", timer)
        if timer not in saved:
            shutil.rmtree(folder)
    if removed:
        systemd.systemctl("daemon-reload")


def stop(paths: Paths, deployment: str) -> None:
    """Stop the services of a failed deployment and wait until they have ended, because its code will be removed."""
    units = [unit for unit in systemd.running(_SERVICES) if _deployment_of(unit) == deployment]
    if units:
        systemd.systemctl("stop", *units)
        systemd.systemctl("reset-failed", *units)
    remove_unused(paths)


def remove_unused(paths: Paths) -> None:
    """Delete the files of processes that have ended and shouldn't run."""
    units = _recorded(paths) | (_saved(paths) or set()) | systemd.running(*_ALL)
    used = {_name_of(unit) for unit in units}
    for folder in paths.processes.glob("*"):
        if folder.name not in used:
            systemd.systemctl("reset-failed", f"gantry-*@{folder.name}.service")
            shutil.rmtree(folder)


def save_for_rollback(paths: Paths) -> None:
    """Save the list of units that run now, for ``roll_back``. A list that is already saved stays."""
    if _saved(paths) is None:
        saved = {"deployment": state.proven(paths), "units": sorted(_recorded(paths))}
        files.write(paths.processes_before, json.dumps(saved).encode(), 0o600)


def delete_saved(paths: Paths) -> None:
    """Delete the saved list. After this, ``roll_back`` keeps the recorded units."""
    paths.processes_before.unlink(missing_ok=True)


def roll_back(paths: Paths) -> None:
    """Run the saved units, or the recorded ones if none are saved. Doesn't wait until they have started."""
    saved = _saved(paths)
    if saved is not None:
        _record(paths, sorted(saved))
    drain(paths)
    delete_saved(paths)
    _start_again(_recorded(paths))


def running() -> list[str]:
    """The names of the running services, ``<deployment>-<type>-<number>``, and cron jobs."""
    return sorted(map(_name_of, systemd.running(_SERVICES, _JOBS)))


def in_use() -> set[str]:
    """The deployments whose code is run by a process other than web."""
    units = systemd.running(_SERVICES, _JOBS, systemd.RELEASE_UNIT.format("*"))
    return {_deployment_of(unit) for unit in units}


def _planned(paths: Paths, deployment: Deployment, plan: Plan) -> list[Process]:
    """The processes that should run; raises ReleaseError or ValueError for one that can't."""
    release = paths.releases / deployment.release
    commands = procfile.services(procfile.read(release))
    services = [
        Process(f"{deployment.name}-{name}-{number}", f"{name}.{number}", command, is_singleton=name in plan.singletons)
        for name, command in commands.items()
        for number in range(1, plan.count(name) + 1)
    ]
    entries = [*plan.cron, *_app_entries(release)] if plan.first else []
    return services + [_timer(deployment, entry) for entry in dict.fromkeys(entries)]


def _app_entries(release: Path) -> list[cron.Entry]:
    file = release / "app.json"
    return cron.app_entries(file.read_text("utf-8-sig")) if file.is_file() else []


def _timer(deployment: Deployment, entry: cron.Entry) -> Process:
    for calendar in cron.calendar(entry.schedule):
        if not systemd.accepts(calendar):
            raise ReleaseError(f"the schedule {entry.schedule!r} {cron.RULE}")
    digest = hashlib.sha256(f"{entry.schedule}\n{entry.command}".encode()).hexdigest()[:6]
    name = f"{deployment.name}-{digest}"
    return Process(name, label=entry.command, command=entry.command, schedule=entry.schedule)


def _start(paths: Paths, deployment: Deployment, *, new: list[Process], old_singletons: set[str]) -> None:
    for process in new:
        _write_files(paths, deployment, process)
    if any(process.schedule for process in new):
        systemd.systemctl("daemon-reload")
    services = [process for process in new if not process.schedule]
    _start_services(paths, [process for process in services if not process.is_singleton])
    # The last step that may fail, so that it is rarely undone: until the new singleton runs, none does.
    for unit in old_singletons:
        _add_lock(paths, unit)
    if old_singletons:
        systemd.systemctl("stop", *sorted(old_singletons))
    _start_services(paths, [process for process in services if process.is_singleton])
    for process in new:
        if process.schedule and systemd.systemctl("start", process.unit).returncode != 0:
            raise staying_up.failure(paths, process)


def _start_services(paths: Paths, services: list[Process]) -> None:
    for process in services:
        if systemd.systemctl("start", process.unit).returncode != 0:
            raise staying_up.failure(paths, process)
    staying_up.check(paths, services)


def _others(singletons: Iterable[Process]) -> set[str]:
    """The running units of the same types, of other deployments and of those with more than one."""
    types, units = {process.type for process in singletons}, {process.unit for process in singletons}
    return {unit for unit in systemd.running(_SERVICES) if _type_of(unit) in types} - units


def _start_again(units: Iterable[str]) -> None:
    if stopped := sorted(units):
        systemd.systemctl("start", "--no-block", *stopped)


def _write_files(paths: Paths, deployment: Deployment, process: Process) -> None:
    """Write the folder that the unit runs in: its command, and links to the files of the deployment."""
    folder = paths.processes / process.name
    folder.mkdir(parents=True, exist_ok=True)
    for link in ("app", "venv"):
        files.point(folder / link, (paths.deployments / deployment.name / link).readlink())
    files.point(folder / "environment", paths.env_files / deployment.name)
    # A script or a command of Django may start beat, so the command doesn't tell.
    before: list[str] = _beat_schedule() if venv.has_package(folder / "venv", "celery") else []
    if process.is_singleton:
        before += _singleton_lock(paths, process.type)
    if process.schedule:
        # Each release has units of its own. Without this lock, systemd would let the jobs of two releases run at once.
        lock = Paths().cron_lock(hashlib.sha256(process.command.encode()).hexdigest()[:12])
        skip = "flock --nonblock 9 || { echo 'skipped: the previous run is still running'; exit 0; }"
        before += [f"exec 9>{lock}", skip]
        times = [f"OnCalendar={calendar}\n" for calendar in cron.calendar(process.schedule)]
        drop_in = paths.unit_drop_ins(process.unit) / "schedule.conf"
        files.write(drop_in, "".join(["[Timer]\n", *times]).encode(), 0o644)
    ports.assign(paths, folder)
    files.write(folder / "run", procfile.script(process.command, *before), 0o755)


def _beat_schedule() -> list[str]:
    """The lines of a script that tell Celery's beat where to keep the times of its last runs."""
    # Beat writes into its working folder, which is read-only, and adds .db or .dat to the name before Python 3.13: a
    # link of the name wouldn't help. Celery reads these variables for the options --schedule of `beat` and `worker -B`.
    path = Paths().app_home / "celerybeat-schedule"
    names = ("CELERY_BEAT_SCHEDULE", "CELERY_WORKER_SCHEDULE_FILENAME")
    return [f'export {name}="${{{name}:-{path}}}"' for name in names]


def _singleton_lock(paths: Paths, process_type: str) -> list[str]:
    """The lines of a script that wait for the lock of a process type."""
    # Whatever starts and stops units, such as a rollback after a killed run: the kernel makes the second one wait.
    files.write(paths.singleton_lock(process_type), b"", 0o644)
    return [f"exec 9<{Paths().singleton_lock(process_type)}", "flock 9"]


def _add_lock(paths: Paths, unit: str) -> None:
    """Let a process take the lock that started as one of several, so that a rollback doesn't start it too early."""
    run, lock = paths.processes / _name_of(unit) / "run", _singleton_lock(paths, _type_of(unit))
    first, *lines = run.read_text().split("\n")
    if lock[0] not in lines:
        files.write(run, "\n".join([first, *lock, *lines]).encode(), 0o755)


def _drain(units: Iterable[str]) -> None:
    if stopping := sorted(units):
        systemd.systemctl("stop", "--no-block", *stopping)


def _record(paths: Paths, units: list[str]) -> None:
    files.write(paths.processes_record, json.dumps(units).encode(), 0o600)


def _recorded(paths: Paths) -> set[str]:
    return set(json.loads(paths.processes_record.read_text())) if paths.processes_record.exists() else set()


def _saved(paths: Paths) -> set[str] | None:
    """The saved units, or None. A list that a killed run saved for an earlier proven deployment doesn't count."""
    if paths.processes_before.exists():
        saved = json.loads(paths.processes_before.read_text())
        # Earlier versions called a deployment an instance.
        if saved.get("deployment", saved.get("instance")) == state.proven(paths):
            return set(saved["units"])
    return None


def _name_of(unit: str) -> str:
    return unit.partition("@")[2].rpartition(".")[0]


def _deployment_of(unit: str) -> str:
    """The deployment ``<release>-<6 hex digits>`` that the name of the unit begins with."""
    return "-".join(_name_of(unit).split("-")[:2])


def _type_of(unit: str) -> str:
    """The process type in the name ``<deployment>-<type>-<number>`` of a service; a type may have hyphens."""
    return "-".join(_name_of(unit).split("-")[2:-1])
