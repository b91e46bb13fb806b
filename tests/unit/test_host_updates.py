"""`gantry update`: the order of its steps, what it does for a reboot, and what it reports."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from host import (
    files,
    outdated,
    reboot,
    systemd,
    update_packages,
    update_window,
    updates,
)
from host.errors import ReleaseError
from host.layers import updates as layer
from host.lock import exclusive
from host.paths import Paths
from host.update_window import Plan, parse

ALWAYS = Plan(window=parse("00:00-23:59"), days=1)
WEB = "gantry-web@0a1b2c3d4e5f-aaaaaa.service"


class FakeMachine:
    """Records the steps of an update."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.steps: list[str] = []
        self.outdated: list[str] = []
        self.not_restarted: list[str] = []
        self.plan = Plan(window=None)
        self.failure = ""
        self.packages_complete = True
        monkeypatch.setattr(update_window, "read", lambda _: self.plan)
        monkeypatch.setattr(update_packages, "install", lambda *_: self.install())
        monkeypatch.setattr(update_packages, "are_complete", lambda: self.packages_complete)
        monkeypatch.setattr(outdated, "units", lambda: self.outdated)
        monkeypatch.setattr(outdated, "restart", lambda _, names: self.step("restart") or self.not_restarted)
        monkeypatch.setattr(reboot, "drain", lambda *_: self.step("drain"))
        monkeypatch.setattr(reboot, "end_drain", self.end_drain)
        monkeypatch.setattr(reboot, "reboot", lambda: self.shut_down())

    def step(self, name: str) -> None:
        self.steps.append(name)

    def end_drain(self, paths: Paths) -> None:
        if paths.drain_rule.exists() or "drain" in self.steps:
            self.step("end of drain")

    def install(self) -> tuple[list[str], ReleaseError | None]:
        self.step("install")
        return ["openssl"], ReleaseError(self.failure) if self.failure else None

    def shut_down(self) -> None:
        self.step("reboot")
        raise SystemExit

    def need_reboot(self) -> None:
        files.write(self.paths.reboot_required, b"", 0o644)
        files.write(self.paths.reboot_packages, b"linux-image-amd64\nlinux-image-amd64\n", 0o644)

    def update(self) -> list[str]:
        updates.update(self.paths, at_once=True, settle=0)
        return self.steps

    def report(self) -> str:
        return updates.report(self.paths, time.time())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    return FakeMachine(tmp_path, monkeypatch)


def test_outside_of_its_slot_a_machine_does_nothing_and_says_when_it_will(
    machine: FakeMachine, capsys: pytest.CaptureFixture[str]
):
    machine.plan = Plan(window=ALWAYS.window, number=(int(time.time()) % 86400 // 900 + 2) % 95)
    updates.update(machine.paths)
    machine.plan = Plan(window=None)
    updates.update(machine.paths)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("not now: the next slot of this server begins at 20")
    assert second == updates.OFF
    assert (machine.steps, machine.paths.update_record.exists()) == ([], False)


def test_packages_come_first_then_what_runs_with_old_code_and_the_result_is_kept(machine: FakeMachine):
    machine.plan, machine.outdated = ALWAYS, [WEB]
    assert machine.update() == ["install", "restart"]
    assert machine.report().startswith("updated 20")
    assert "(openssl); next 20" in machine.report()


def test_behind_a_balancer_nginx_is_replaced_on_a_drained_server(machine: FakeMachine):
    machine.plan, machine.outdated = Plan(window=None, drains=True), [WEB]
    assert machine.update() == ["install", "restart"]
    machine.steps.clear()
    machine.outdated = [WEB, systemd.NGINX]
    assert machine.update() == ["install", "drain", "restart", "end of drain"]


def test_a_reboot_comes_after_the_drain_and_instead_of_restarts(machine: FakeMachine):
    machine.plan, machine.outdated = Plan(window=None, drains=True, reboots=True), [systemd.NGINX]
    machine.need_reboot()
    with pytest.raises(SystemExit):
        machine.update()
    assert machine.steps == ["install", "drain", "reboot"]
    machine.paths.reboot_required.unlink()
    assert machine.report().startswith("rebooted 20")


def test_a_reboot_that_is_not_allowed_is_pending_and_named(machine: FakeMachine, capsys: pytest.CaptureFixture[str]):
    machine.plan, machine.outdated = ALWAYS, [WEB]
    machine.need_reboot()
    assert machine.update() == ["install", "restart"]
    assert "a reboot is pending: linux-image-amd64" in capsys.readouterr().out
    assert "a reboot is pending (linux-image-amd64): run `sudo reboot`" in machine.report()


def test_no_reboot_begins_that_might_not_end_before_the_next_machines_slot(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
):
    machine.plan = Plan(window=None, reboots=True)
    machine.need_reboot()
    monkeypatch.setattr(updates, "SLOT_SECONDS", reboot.LATEST_SECONDS)
    assert machine.update() == ["install"]


def test_a_shutdown_that_hangs_ends_the_drain(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch):
    def hang() -> None:
        raise ReleaseError("the server doesn't shut down")

    monkeypatch.setattr(reboot, "reboot", hang)
    machine.plan = Plan(window=None, drains=True, reboots=True)
    machine.need_reboot()
    with pytest.raises(ReleaseError, match="doesn't shut down"):
        machine.update()
    assert machine.steps == ["install", "drain", "end of drain"]


def test_daemons_that_can_not_be_restarted_need_a_reboot_too(machine: FakeMachine):
    machine.plan, machine.outdated = Plan(window=None, reboots=True), ["dbus.service"]
    machine.not_restarted = ["dbus.service"]
    with pytest.raises(SystemExit):
        machine.update()
    assert machine.steps == ["install", "restart", "reboot"]


def test_without_reboots_the_daemons_that_need_one_are_named_with_the_command(machine: FakeMachine):
    machine.outdated = machine.not_restarted = ["dbus.service"]
    assert machine.update() == ["install", "restart"]
    assert "still with old code: dbus.service (only `sudo reboot` ends that)" in machine.report()


def test_after_a_failed_installation_what_runs_with_old_code_is_restarted(machine: FakeMachine):
    machine.outdated, machine.failure = [WEB], "unattended-upgrade failed"
    with pytest.raises(ReleaseError, match="unattended-upgrade failed"):
        machine.update()
    assert machine.steps == ["install", "restart"]


def test_a_reboot_of_the_night_before_needs_no_archive_but_complete_packages(machine: FakeMachine):
    machine.plan, machine.failure = Plan(window=None, reboots=True), "the package archive can't be used"
    machine.need_reboot()
    machine.packages_complete = False
    with pytest.raises(ReleaseError, match="can't be used"):
        machine.update()
    assert machine.steps == ["install"]
    machine.packages_complete = True
    with pytest.raises(SystemExit):
        machine.update()
    assert machine.steps == ["install", "install", "reboot"]


def test_both_failures_are_kept_with_their_reasons(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> list[str]:
        raise ReleaseError("the app doesn't start")

    monkeypatch.setattr(outdated, "restart", fail)
    machine.outdated, machine.failure = [WEB], "unattended-upgrade failed"
    with pytest.raises(ReleaseError, match="unattended-upgrade failed\nthe app doesn't start"):
        machine.update()


def test_an_update_first_ends_the_drain_of_a_run_that_was_killed(machine: FakeMachine):
    files.write(machine.paths.drain_rule, b"", 0o644)
    assert machine.update() == ["end of drain", "install"]


def test_a_failure_is_kept_with_its_reason(machine: FakeMachine):
    machine.failure = "the package archive can't be used:\nE: no network"
    with pytest.raises(ReleaseError):
        machine.update()
    assert ": the package archive can't be used: E: no network; off" in machine.report()
    [finding] = layer.findings(machine.paths)
    assert (finding.problem, finding.note) == ("", machine.report())


def test_a_release_in_progress_and_a_rollout_come_first(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(updates, "WAIT_SECONDS", 0)
    with exclusive(machine.paths.lock, "a release"), pytest.raises(ReleaseError, match="being changed by a release"):
        machine.update()
    files.write(machine.paths.probation, b"", 0o600)
    with pytest.raises(ReleaseError, match="a rollout over several servers is in progress"):
        machine.update()
    assert machine.steps == []


def test_a_drain_that_was_interrupted_is_broken_and_can_be_repaired(machine: FakeMachine):
    files.write(machine.paths.drain_rule, b"", 0o644)
    finding = next(iter(layer.findings(machine.paths)))
    assert "accepts no requests" in finding.problem and finding.repair
    finding.repair()
    assert machine.steps == ["end of drain"]


def test_the_record_of_a_later_version_is_ignored(machine: FakeMachine):
    files.write(machine.paths.update_record, b'{"began": "", "more": 1}', 0o644)
    assert updates.last_run(machine.paths) is None


def days_later(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    now = time.time() + days * 24 * 60 * 60
    monkeypatch.setattr(updates.time, "time", lambda: now)


def test_updates_that_fail_for_a_week_are_broken_until_one_succeeds(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
):
    machine.update()
    for failure in ("no network", "no disk"):
        machine.failure = failure
        with pytest.raises(ReleaseError):
            machine.update()
        assert [finding.problem for finding in layer.findings(machine.paths)] == [""]
        days_later(machine, monkeypatch, 4)
    [finding] = layer.findings(machine.paths)
    assert finding.problem.startswith("for more than a week no update has succeeded; the last one: failed 20")
    assert "no disk" in finding.problem and finding.remedy == "sudo gantry update --now"
    machine.failure = ""
    machine.update()
    assert [finding.problem for finding in layer.findings(machine.paths)] == [""]


def test_runs_that_are_killed_count_as_failed(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch):
    def die(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(update_packages, "install", die)
    for _ in range(2):
        with pytest.raises(SystemExit):
            machine.update()
        days_later(machine, monkeypatch, 4)
    with pytest.raises(SystemExit):
        machine.update()
    assert "no update has succeeded" in next(iter(layer.findings(machine.paths))).problem


def test_an_update_removes_what_a_killed_one_left_for_nginx(machine: FakeMachine):
    files.write(machine.paths.last_responses, b"", 0o644)
    machine.update()
    assert not machine.paths.last_responses.exists()
