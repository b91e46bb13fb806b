"""How an update installs packages, and how long that may take."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from host import commands, update_packages
from host.errors import ReleaseError
from host.packages import system_packages
from host.paths import Paths


def test_packages_restart_nothing_and_the_archive_is_asked_before_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    paths, steps = Paths(tmp_path), list[str]()
    versions = iter(("openssl 1\nbash 5\n", "openssl 2\nbash 5\n"))
    monkeypatch.setattr(update_packages, "_refresh", lambda: steps.append("refresh"))
    monkeypatch.setattr(system_packages, "provide", lambda _, program, package: steps.append(package))
    monkeypatch.setattr(commands, "run", lambda words: subprocess.CompletedProcess(words, 0, next(versions)))

    def run_until(command: list[str], end: float) -> str:
        steps.append(f"{command[0]} {paths.service_policy.exists()}")
        return ""

    monkeypatch.setattr(update_packages, "run_until", run_until)
    assert update_packages.install(paths, 0) == (["openssl"], None)
    assert steps == ["refresh", "unattended-upgrades", "needrestart", "unattended-upgrade True"]
    assert not paths.service_policy.exists()


def test_at_the_end_of_the_slot_a_program_may_finish_its_step():
    trap = "trap 'sleep 0.2; exit 0' TERM; while :; do sleep 0.1; done"
    began = time.monotonic()
    failure = update_packages.run_until(["sh", "-c", trap], time.time())
    assert failure.startswith("was stopped at the end of this server's slot")
    assert 1.2 <= time.monotonic() - began < 10
    assert update_packages.run_until(["sh", "-c", "echo why; exit 3"], time.time()) == "failed:\nwhy"
    assert update_packages.run_until(["true"], time.time()) == ""


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that answers. An update of openssl is installed, then unattended-upgrade fails."""
    versions = iter(("openssl 1\n", "openssl 2\n"))
    monkeypatch.setattr(update_packages, "_refresh", lambda: None)
    monkeypatch.setattr(system_packages, "provide", lambda *_: None)
    monkeypatch.setattr(commands, "run", lambda words: subprocess.CompletedProcess(words, 0, next(versions)))
    monkeypatch.setattr(update_packages, "run_until", lambda *_: "failed:\nno")


@pytest.mark.usefixtures("archive")
def test_a_failure_comes_with_the_packages_that_changed_before_it(tmp_path: Path):
    changed, failure = update_packages.install(Paths(tmp_path), 0)
    assert changed == ["openssl"]
    assert str(failure).startswith("unattended-upgrade failed:\nno; these packages changed: openssl\n")


@pytest.mark.usefixtures("archive")
def test_an_archive_that_does_not_answer_is_a_failure_without_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail() -> None:
        raise ReleaseError("the package archive can't be used")

    monkeypatch.setattr(update_packages, "_refresh", fail)
    changed, failure = update_packages.install(Paths(tmp_path), 0)
    assert (changed, str(failure)) == ([], "the package archive can't be used")


def test_an_archive_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(update_packages, "_REFRESH", ["sleep", "60"])
    monkeypatch.setattr(update_packages, "_TIMEOUTS", ())
    monkeypatch.setattr(update_packages, "REFRESH_SECONDS", 0.1)
    with pytest.raises(ReleaseError, match=r"the package archive can't be used: its lists didn't come within 0.1 s"):
        update_packages._refresh()


@pytest.mark.parametrize(("audit", "complete"), [("", True), ("The following packages are half configured\n", False)])
def test_half_installed_packages_are_found(monkeypatch: pytest.MonkeyPatch, audit: str, complete: bool):
    monkeypatch.setattr(commands, "run", lambda words, accepted: subprocess.CompletedProcess(words, 0, audit))
    assert update_packages.are_complete() is complete
