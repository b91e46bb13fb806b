from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from host import processes, release_process, systemd, web
from host.cron import Entry
from host.errors import ReleaseError
from host.paths import Paths
from host.processes import Plan

OLD = web.Instance("0123456789ab", "s1", {"COLOUR": "red"})
NEW = web.Instance("cafe00000000", "s1", {"COLOUR": "red"})
PROCFILE = "web: gunicorn a:b\nrelease: python migrate.py\nworker: python worker.py\nmail-out: LEVEL=1 python mail.py\n"
NIGHTLY = Entry("0 3 * * *", "python cleanup.py")


class Server:
    """Units are names with states; what systemd is asked to do is written down."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.states: dict[str, str] = {}
        self.calls: list[tuple[str, ...]] = []
        self.crashing: set[str] = set()
        self.paths.state.mkdir(parents=True)
        self.paths.gunicorn_settings.parent.mkdir(parents=True)
        self.paths.gunicorn_settings.touch()
        monkeypatch.setattr(processes, "STAY_SECONDS", 0.0)
        monkeypatch.setattr(systemd, "systemctl", self.systemctl)
        monkeypatch.setattr(systemd, "listed", self.listed)
        monkeypatch.setattr(systemd, "show", self.show)
        monkeypatch.setattr(systemd, "journal", lambda unit: f"last words of {unit}")
        monkeypatch.setattr(systemd, "accepts", lambda value: "25:" not in value)
        for instance in (OLD, NEW):
            self.unpack(instance)

    def unpack(self, instance: web.Instance, procfile: str = PROCFILE) -> None:
        release = self.paths.releases / instance.release
        release.mkdir(parents=True, exist_ok=True)
        (release / "Procfile").write_text(procfile)
        web.prepare(self.paths, instance, self.paths.venvs / "v1")

    def systemctl(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        self.calls.append((verb, *words))
        units = [word for word in words if not word.startswith("--")]
        if verb in ("start", "stop"):
            self.states.update(dict.fromkeys(units, "active" if verb == "start" else "inactive"))
        return subprocess.CompletedProcess([], 0, "", "")

    def listed(self, *patterns: str) -> dict[str, str]:
        kinds = {(pattern.partition("@")[0], pattern.rpartition(".")[2]) for pattern in patterns}
        return {unit: state for unit, state in self.states.items() if kind(unit) in kinds}

    def show(self, unit: str, *names: str) -> dict[str, str]:
        restarts = any(unit.endswith(f"-{name}.service") for name in self.crashing)
        return {"ActiveState": self.states.get(unit, "inactive"), "NRestarts": "1" if restarts else "0"}

    def start(self, instance: web.Instance, plan: Plan) -> None:
        """As a release does it, once the web process serves."""
        processes.start(self.paths, instance, plan)
        processes.retire(self.paths)
        processes.forget(self.paths)

    def up(self) -> set[str]:
        return {unit for unit, state in self.states.items() if state == "active"}

    def folder(self, name: str) -> Path:
        return self.paths.processes / name


def kind(unit: str) -> tuple[str, str]:
    return unit.partition("@")[0], unit.rpartition(".")[2]


def services(instance: web.Instance, *names: str) -> set[str]:
    return {f"gantry-process@{instance.name}-{name}.service" for name in names}


def cron_of(instance: web.Instance, server: Server) -> list[str]:
    return [unit for unit in server.up() if unit.startswith(f"gantry-cron@{instance.name}-")]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(tmp_path, monkeypatch)


def test_one_of_each_type_beside_web_and_release_runs_and_the_settings_can_say_another_count(server: Server):
    server.start(NEW, Plan())
    assert server.up() == services(NEW, "worker-1", "mail-out-1")
    server.start(NEW, Plan({"worker": 3, "mail-out": 0}))
    assert server.up() == services(NEW, "worker-1", "worker-2", "worker-3")


def test_another_count_starts_and_stops_the_difference_alone(server: Server):
    server.start(NEW, Plan({"worker": 2}))
    server.calls.clear()
    server.start(NEW, Plan({"worker": 1}))
    stopped = [words for words in server.calls if words[0] in ("start", "stop")]
    assert stopped == [("stop", "--no-block", *services(NEW, "worker-2"))]


def test_the_old_releases_processes_are_told_to_stop_only_once_the_new_ones_stay_up(server: Server):
    server.start(OLD, Plan())
    server.calls.clear()
    server.start(NEW, Plan())
    verbs = [words[0] for words in server.calls if words[0] in ("start", "stop")]
    assert verbs == ["start", "start", "stop"]
    assert server.up() == services(NEW, "worker-1", "mail-out-1")


def test_a_process_runs_its_command_itself_with_the_code_packages_and_variables_of_its_instance(server: Server):
    server.start(NEW, Plan())
    folder = server.folder(f"{NEW.name}-mail-out-1")
    assert (folder / "run").read_text() == "#!/bin/sh\nexec /usr/bin/env LEVEL=1 python mail.py\n"
    assert (folder / "run").stat().st_mode & 0o777 == 0o755
    assert (folder / "app").readlink() == server.paths.releases / NEW.release
    assert (folder / "venv").readlink() == server.paths.venvs / "v1"
    assert (folder / "environment").read_text() == 'COLOUR="red"\n'


def test_one_that_does_not_stay_up_is_named_with_its_last_words_and_all_new_ones_are_stopped_again(server: Server):
    server.start(OLD, Plan())
    server.crashing = {"mail-out-1"}
    with pytest.raises(ReleaseError, match=r"(?s)mail-out.1 doesn't stay up:\nlast words of .*mail-out-1"):
        processes.start(server.paths, NEW, Plan())
    assert server.up() == services(OLD, "worker-1", "mail-out-1")
    processes.discard(server.paths, NEW.name)
    assert {folder.name[:12] for folder in server.paths.processes.iterdir()} == {OLD.release}


def test_whatever_a_failed_instance_has_started_is_waited_for_since_its_code_goes(server: Server):
    processes.start(server.paths, NEW, Plan({"mail-out": 0}))
    server.calls.clear()
    processes.discard(server.paths, NEW.name)
    assert ("stop", *services(NEW, "worker-1")) in server.calls


def test_after_a_reboot_those_of_the_last_release_come_back(server: Server):
    server.start(OLD, Plan())
    server.start(NEW, Plan(cron=(NIGHTLY,), first=True))
    before = server.up()
    server.states.clear()
    processes.go_back(server.paths)
    assert server.up() == before


def test_a_server_without_processes_is_asked_nothing_after_a_reboot(server: Server):
    processes.go_back(server.paths)
    assert server.calls == []


def test_an_app_with_web_alone_has_no_phase_for_processes(server: Server, capsys: pytest.CaptureFixture[str]):
    server.unpack(NEW, "web: gunicorn a:b\n")
    server.start(NEW, Plan())
    assert capsys.readouterr().out == ""
    assert server.up() == set()


def test_a_count_for_a_type_that_this_release_has_not_is_passed_over_and_said(
    server: Server, capsys: pytest.CaptureFixture[str]
):
    processes.prepare(server.paths, NEW, server.paths.venvs / "v1", Plan({"clock": 1, "worker": 0}))
    assert capsys.readouterr().out == f"no clock will run: the Procfile of {NEW.release} has none\n"


def test_a_cron_entry_is_a_timer_with_its_times_in_a_file_and_the_command_behind_a_lock(server: Server):
    server.start(NEW, Plan({"worker": 0, "mail-out": 0}, cron=(Entry("0 0 13 * 5", "python a.py"),), first=True))
    (timer,) = server.up()
    assert kind(timer) == ("gantry-cron", "timer")
    times = (server.paths.units / f"{timer}.d/schedule.conf").read_text()
    assert times == "[Timer]\nOnCalendar=*-*-13 0:0:00\nOnCalendar=Fri *-*-* 0:0:00\n"
    script = (server.folder(processes._name_of(timer)) / "run").read_text().splitlines()
    assert script[1].startswith("exec 9>/run/gantry/cron-")
    assert script[2].startswith("flock --nonblock 9 ||")
    assert script[3] == "exec /usr/bin/env python a.py"
    assert server.calls.index(("daemon-reload",)) < server.calls.index(("start", timer))


def test_the_lock_is_the_commands_own_whatever_the_release_or_the_schedule(server: Server):
    locks = set[str]()
    for instance, schedule in ((OLD, "@daily"), (NEW, "@daily"), (NEW, "@hourly")):
        server.start(instance, Plan(cron=(Entry(schedule, "python a.py"),), first=True))
        (timer,) = cron_of(instance, server)
        locks.add((server.folder(processes._name_of(timer)) / "run").read_text().splitlines()[1])
    assert len(locks) == 1


def test_entries_of_the_app_and_of_the_settings_add_up_and_run_on_the_first_server_only(server: Server):
    text = json.dumps({"cron": [{"schedule": "@daily", "command": "python b.py"}]})
    (server.paths.releases / NEW.release / "app.json").write_text(text)
    server.start(NEW, Plan(cron=(NIGHTLY,), first=True))
    assert len(cron_of(NEW, server)) == 2
    server.start(NEW, Plan(cron=(NIGHTLY,)))
    assert cron_of(NEW, server) == []


def test_a_timer_that_is_no_longer_wanted_is_removed_and_its_running_job_left_to_finish(server: Server):
    server.start(OLD, Plan(cron=(NIGHTLY,), first=True))
    (timer,) = cron_of(OLD, server)
    job = timer.replace(".timer", ".service")
    server.states[job] = "activating"
    server.start(NEW, Plan(first=True))
    assert server.states[timer] == "inactive"
    assert server.states[job] == "activating"
    assert not list(server.paths.units.iterdir())
    assert processes.in_use() == {OLD.name, NEW.name}
    assert server.folder(processes._name_of(job)).exists(), "the job's packages are found through it"
    server.states[job] = "inactive"
    processes.forget(server.paths)
    assert not server.folder(processes._name_of(job)).exists()


def test_a_schedule_that_systemd_refuses_fails_before_anything_is_switched(server: Server):
    plan = Plan(cron=(Entry("*-*-* 25:00", "python a.py"),), first=True)
    with pytest.raises(ReleaseError, match=r"25:00' must be five fields"):
        processes.prepare(server.paths, NEW, server.paths.venvs / "v1", plan)
    assert server.calls == []


@pytest.fixture
def migration(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bool], None]:
    """Makes the release process write ``said`` and end well or not."""

    def behave(said: str, well: bool) -> None:
        def follow(unit: str) -> bool:
            server.calls.append(("follow", unit))
            print(said)
            return well

        monkeypatch.setattr(release_process, "_follow", follow)

    return behave


def test_only_the_first_server_runs_the_release_process(server: Server, migration: Callable[[str, bool], None]):
    migration("migrated", True)
    processes.prepare(server.paths, NEW, server.paths.venvs / "v1", Plan())
    assert server.calls == []
    processes.prepare(server.paths, NEW, server.paths.venvs / "v1", Plan(first=True))
    assert server.calls == [("follow", f"gantry-release@{NEW.name}.service")]
    script = server.paths.instances / NEW.name / "release"
    assert script.read_text() == "#!/bin/sh\nexec /usr/bin/env python migrate.py\n"


def test_what_the_release_process_writes_is_shown_whatever_its_bytes_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    programs = {"journalctl": "printf 'caf\\351 migrated\\n'", "systemctl": "exit 0"}
    for name, does in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert release_process._follow("gantry-release@a.service")
    assert "  caf\ufffd migrated\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"Result": "timeout"}, "took longer than the setting releaseTimeout allows"),
        ({"Result": "exit-code", "ExecMainStatus": "3"}, "failed with exit status 3"),
    ],
)
def test_a_release_process_that_fails_says_why_with_its_last_words(
    server: Server,
    migration: Callable[[str, bool], None],
    monkeypatch: pytest.MonkeyPatch,
    result: dict[str, str],
    reason: str,
):
    migration("no such table", False)
    monkeypatch.setattr(systemd, "show", lambda *_: result)
    with pytest.raises(ReleaseError, match=rf"{reason}: python migrate.py\nlast words"):
        processes.prepare(server.paths, NEW, server.paths.venvs / "v1", Plan(first=True))


def test_a_release_process_of_an_interrupted_run_is_waited_for(
    server: Server, migration: Callable[[str, bool], None], monkeypatch: pytest.MonkeyPatch
):
    migration("migrated", True)
    other = f"gantry-release@{OLD.name}.service"
    server.states[other] = "activating"

    def sleep(_: float) -> None:
        assert not any(words[0] == "follow" for words in server.calls)
        server.states[other] = "inactive"

    monkeypatch.setattr(release_process.time, "sleep", sleep)
    processes.prepare(server.paths, NEW, server.paths.venvs / "v1", Plan(first=True))
    assert server.calls[-1][0] == "follow"
    assert server.states[other] == "inactive"
