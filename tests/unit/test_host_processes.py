"""Workers and cron jobs beside the web process."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from host import processes, release_phase, staying_up, systemd
from host.cron import Entry
from host.deployment import Deployment, Folders, write_files
from host.errors import ReleaseError
from host.paths import Paths
from host.processes import Plan

OLD = Deployment("0123456789ab", "s1", {"COLOUR": "red"})
NEW = Deployment("cafe00000000", "s1", {"COLOUR": "red"})
PROCFILE = "web: gunicorn a:b\nrelease: python migrate.py\nworker: python worker.py\nmail-out: LEVEL=1 python mail.py\n"
NIGHTLY = Entry("0 3 * * *", "python cleanup.py")


class FakeSystemd:
    """A server whose units are names with states. ``calls`` records the commands for systemd."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.states: dict[str, str] = {}
        self.calls: list[tuple[str, ...]] = []
        # The processes that end at once, with their ExecMainCode and ExecMainStatus.
        self.ending: dict[str, tuple[str, str]] = {}
        self.last_lines = "last lines of {}"
        self.paths.state.mkdir(parents=True)
        self.paths.gunicorn_settings.parent.mkdir(parents=True)
        self.paths.gunicorn_settings.touch()
        monkeypatch.setattr(staying_up, "STAY_SECONDS", 0.0)
        monkeypatch.setattr(systemd, "systemctl", self.systemctl)
        monkeypatch.setattr(systemd, "listed", self.listed)
        monkeypatch.setattr(systemd, "show", self.show)
        monkeypatch.setattr(systemd, "journal", lambda unit: self.last_lines.format(unit))
        monkeypatch.setattr(systemd, "accepts", lambda value: "25:" not in value)
        for deployment in (OLD, NEW):
            self.unpack(deployment)

    def unpack(self, deployment: Deployment, procfile: str = PROCFILE) -> None:
        release = self.paths.releases / deployment.release
        release.mkdir(parents=True, exist_ok=True)
        (release / "Procfile").write_text(procfile)
        write_files(self.paths, deployment, self.folders(deployment))

    def folders(self, deployment: Deployment) -> Folders:
        return Folders(self.paths.releases / deployment.release, self.paths.venvs / "v1")

    def systemctl(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        self.calls.append((verb, *words))
        units = [word for word in words if not word.startswith("--")]
        if verb in ("start", "stop"):
            self.states.update(dict.fromkeys(units, "active" if verb == "start" else "inactive"))
        return subprocess.CompletedProcess([], 0, "", "")

    def listed(self, *patterns: str) -> dict[str, str]:
        kinds = {kind(pattern) for pattern in patterns}
        return {unit: state for unit, state in self.states.items() if kind(unit) in kinds}

    def show(self, unit: str, *names: str) -> dict[str, str]:
        ends = [end for name, end in self.ending.items() if unit.endswith(f"-{name}.service")]
        code, status = ends[0] if ends else ("0", "0")
        properties = {"ActiveState": "activating" if ends else self.states.get(unit, "inactive"), "NRestarts": "0"}
        return {**properties, "ExecMainCode": code, "ExecMainStatus": status}

    def prepare(self, plan: Plan) -> None:
        """What a release of NEW does before the switch."""
        processes.prepare(self.paths, NEW, folders=self.folders(NEW), plan=plan)

    def start(self, deployment: Deployment, plan: Plan) -> None:
        """What a release does once the web process serves."""
        processes.start(self.paths, deployment, plan)
        processes.drain(self.paths)
        processes.remove_unused(self.paths)

    def active(self) -> set[str]:
        return {unit for unit, state in self.states.items() if state == "active"}

    def folder(self, name: str) -> Path:
        return self.paths.processes / name


def kind(unit: str) -> tuple[str, str]:
    """The template and the type of a unit, such as gantry-cron and timer."""
    return unit.partition("@")[0], unit.rpartition(".")[2]


def services(deployment: Deployment, *names: str) -> set[str]:
    return {f"gantry-process@{deployment.name}-{name}.service" for name in names}


def cron_of(deployment: Deployment, server: FakeSystemd) -> list[str]:
    return [unit for unit in server.active() if unit.startswith(f"gantry-cron@{deployment.name}-")]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    return FakeSystemd(tmp_path, monkeypatch)


def test_one_process_of_each_type_runs_unless_the_settings_have_another_count(server: FakeSystemd):
    server.start(NEW, Plan())
    assert server.active() == services(NEW, "worker-1", "mail-out-1")
    server.start(NEW, Plan({"worker": 3, "mail-out": 0}))
    assert server.active() == services(NEW, "worker-1", "worker-2", "worker-3")


def test_a_changed_count_starts_or_stops_only_the_difference(server: FakeSystemd):
    server.start(NEW, Plan({"worker": 2}))
    server.calls.clear()
    server.start(NEW, Plan({"worker": 1}))
    commands = [words for words in server.calls if words[0] in ("start", "stop")]
    assert commands == [("stop", "--no-block", *services(NEW, "worker-2"))]


def test_the_old_processes_are_stopped_after_the_new_ones_have_stayed_up(server: FakeSystemd):
    server.start(OLD, Plan())
    server.calls.clear()
    server.start(NEW, Plan())
    verbs = [words[0] for words in server.calls if words[0] in ("start", "stop")]
    assert verbs == ["start", "start", "stop"]
    assert server.active() == services(NEW, "worker-1", "mail-out-1")


def test_a_process_runs_with_the_code_the_packages_and_the_variables_of_its_deployment(server: FakeSystemd):
    server.start(NEW, Plan())
    folder = server.folder(f"{NEW.name}-mail-out-1")
    assert (folder / "run").read_text() == "#!/bin/sh\nexec /bin/bash -c 'LEVEL=1 python mail.py'\n"
    assert (folder / "run").stat().st_mode & 0o777 == 0o755
    assert (folder / "app").readlink() == server.paths.releases / NEW.release
    assert (folder / "venv").readlink() == server.paths.venvs / "v1"
    assert (folder / "environment").read_text() == 'COLOUR="red"\n'


def test_if_one_process_crashes_the_error_has_its_last_lines_and_all_new_processes_are_stopped(server: FakeSystemd):
    server.start(OLD, Plan())
    server.ending = {"mail-out-1": ("1", "3")}
    with pytest.raises(ReleaseError) as caught:
        processes.start(server.paths, NEW, Plan())
    assert caught.value.message.splitlines() == [
        "mail-out.1 doesn't stay up (exit status 3):",
        f"last lines of gantry-process@{NEW.name}-mail-out-1.service",
    ]
    assert caught.value.advice.endswith("switch it off with: pulumi config set --path processes.mail-out 0")
    assert server.active() == services(OLD, "worker-1", "mail-out-1")
    processes.stop(server.paths, NEW.name)
    assert {folder.name[:12] for folder in server.paths.processes.iterdir()} == {OLD.release}


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (("2", "11"), "worker.1 doesn't stay up (killed by SIGSEGV):"),
        # systemd has started it again already.
        (("0", "0"), "worker.1 doesn't stay up:"),
    ],
)
def test_the_error_says_how_a_process_has_ended(server: FakeSystemd, end: tuple[str, str], words: str):
    server.ending = {"worker-1": end}
    with pytest.raises(ReleaseError) as caught:
        processes.start(server.paths, NEW, Plan())
    assert caught.value.message.splitlines()[0] == words


def test_a_known_cause_comes_before_the_way_to_switch_the_process_off(server: FakeSystemd):
    server.ending, server.last_lines = {"worker-1": ("1", "1")}, "ModuleNotFoundError: No module named 'celery'"
    with pytest.raises(ReleaseError) as caught:
        processes.start(server.paths, NEW, Plan())
    cause, switch_off = caught.value.advice.splitlines()
    assert "celery" in cause
    assert switch_off.endswith("pulumi config set --path processes.worker 0")


@pytest.mark.parametrize(
    ("procfile", "line"),
    [
        ("web: a\ninit: python init.py\n", "`release: python init.py`"),
        ("web: a\nrelease: b\ninit: python init.py\n", "`release: b && python init.py`"),
    ],
)
def test_for_a_process_that_ends_by_itself_the_error_has_the_release_line(
    server: FakeSystemd, procfile: str, line: str
):
    server.unpack(NEW, procfile)
    server.ending = {"init-1": ("1", "0")}
    with pytest.raises(ReleaseError) as caught:
        processes.start(server.paths, NEW, Plan())
    assert caught.value.message.startswith("init.1 ends by itself (exit status 0), but a process of the Procfile runs")
    assert line in caught.value.advice
    assert caught.value.advice.endswith("pulumi config set --path processes.init 0")


def test_the_processes_of_a_failed_deployment_are_stopped_without_no_block(server: FakeSystemd):
    processes.start(server.paths, NEW, Plan({"mail-out": 0}))
    server.calls.clear()
    processes.stop(server.paths, NEW.name)
    assert ("stop", *services(NEW, "worker-1")) in server.calls


def test_after_a_reboot_the_processes_of_the_last_release_are_started(server: FakeSystemd):
    server.start(OLD, Plan())
    server.start(NEW, Plan(cron=(NIGHTLY,), first=True))
    before = server.active()
    server.states.clear()
    processes.roll_back(server.paths)
    assert server.active() == before


def test_after_a_reboot_of_a_server_without_processes_systemd_gets_no_command(server: FakeSystemd):
    processes.roll_back(server.paths)
    assert server.calls == []


def test_for_an_app_with_only_a_web_process_no_processes_phase_is_printed(
    server: FakeSystemd, capsys: pytest.CaptureFixture[str]
):
    server.unpack(NEW, "web: gunicorn a:b\n")
    server.start(NEW, Plan())
    assert capsys.readouterr().out == ""
    assert server.active() == set()


def test_a_count_for_a_type_that_the_procfile_lacks_is_ignored_with_a_message(
    server: FakeSystemd, capsys: pytest.CaptureFixture[str]
):
    server.prepare(Plan({"clock": 1, "worker": 0}))
    assert capsys.readouterr().out == f"no clock will run: the Procfile of {NEW.release} has none\n"


def test_a_verify_line_is_not_run_and_one_line_says_so(
    server: FakeSystemd, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(release_phase, "run", lambda *_: None)
    server.unpack(NEW, "web: gunicorn a:b\nverify: python smoke.py\nworker: python worker.py\n")
    server.prepare(Plan())
    assert capsys.readouterr().out == ""
    server.prepare(Plan(first=True))
    assert capsys.readouterr().out == "the line verify of the Procfile isn't run: the name is reserved\n"
    server.start(NEW, Plan())
    assert server.active() == services(NEW, "worker-1")


def test_a_cron_entry_is_a_timer_with_its_times_in_a_drop_in_and_a_command_with_a_lock(server: FakeSystemd):
    server.start(NEW, Plan({"worker": 0, "mail-out": 0}, cron=(Entry("0 0 13 * 5", "python a.py"),), first=True))
    (timer,) = server.active()
    assert kind(timer) == ("gantry-cron", "timer")
    times = (server.paths.units / f"{timer}.d/schedule.conf").read_text()
    assert times == "[Timer]\nOnCalendar=*-*-13 0:0:00\nOnCalendar=Fri *-*-* 0:0:00\n"
    script = (server.folder(processes._name_of(timer)) / "run").read_text().splitlines()
    assert script[1].startswith("exec 9>/run/gantry/cron-")
    assert script[2].startswith("flock --nonblock 9 ||")
    assert script[3] == "exec /bin/bash -c 'python a.py'"
    assert server.calls.index(("daemon-reload",)) < server.calls.index(("start", timer))


def test_a_command_has_the_same_lock_in_every_release_and_with_every_schedule(server: FakeSystemd):
    locks = set[str]()
    for deployment, schedule in ((OLD, "@daily"), (NEW, "@daily"), (NEW, "@hourly")):
        server.start(deployment, Plan(cron=(Entry(schedule, "python a.py"),), first=True))
        (timer,) = cron_of(deployment, server)
        locks.add((server.folder(processes._name_of(timer)) / "run").read_text().splitlines()[1])
    assert len(locks) == 1


def test_cron_entries_of_the_app_and_of_the_settings_run_only_on_the_first_server(server: FakeSystemd):
    text = json.dumps({"cron": [{"schedule": "@daily", "command": "python b.py"}]})
    (server.paths.releases / NEW.release / "app.json").write_text(text)
    server.start(NEW, Plan(cron=(NIGHTLY,), first=True))
    assert len(cron_of(NEW, server)) == 2
    server.start(NEW, Plan(cron=(NIGHTLY,)))
    assert cron_of(NEW, server) == []


def test_a_removed_cron_entry_loses_its_timer_and_its_running_job_finishes(server: FakeSystemd):
    server.start(OLD, Plan(cron=(NIGHTLY,), first=True))
    (timer,) = cron_of(OLD, server)
    job = timer.replace(".timer", ".service")
    server.states[job] = "activating"
    server.start(NEW, Plan(first=True))
    assert server.states[timer] == "inactive"
    assert server.states[job] == "activating"
    assert not list(server.paths.units.iterdir())
    assert processes.in_use() == {OLD.name, NEW.name}
    assert server.folder(processes._name_of(job)).exists(), "the job needs the folder to find its packages"
    server.states[job] = "inactive"
    processes.remove_unused(server.paths)
    assert not server.folder(processes._name_of(job)).exists()


def test_a_schedule_that_systemd_refuses_fails_before_the_switch(server: FakeSystemd):
    plan = Plan(cron=(Entry("*-*-* 25:00", "python a.py"),), first=True)
    with pytest.raises(ReleaseError, match=r"25:00' must be five fields"):
        server.prepare(plan)
    assert server.calls == []
