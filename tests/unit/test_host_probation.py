from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from host import failed_release, history, probation, processes, release, release_phase, resume, systemd, times, watch
from host.console import Phases
from host.deployment import Deployment, Folders, write_files
from host.errors import ReleaseError
from host.paths import Paths
from tests.unit.host_server import WATCH_SECONDS, FakeServer, options


class ProbationServer(FakeServer):
    """A fake server that also records the seconds of its rollback timer; 0 means that no timer runs."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(root, monkeypatch)
        self.timer = 0.0
        monkeypatch.setattr(probation, "arm", self.arm)
        monkeypatch.setattr(probation.time, "sleep", self.sleep)
        monkeypatch.setattr(systemd, "systemctl", self.disarm)

    def sleep(self, seconds: float) -> None:
        """Record what the server does while time passes: the page that it serves, and whether it drains."""
        self.calls.append(f"{self.page()} serves for {seconds:.0f} s, draining: {self.paths.draining.exists()}")

    def arm(self, seconds: float) -> None:
        self.timer = seconds

    def disarm(self, *words: str) -> None:
        assert words[:2] == ("stop", "gantry-revert.timer")
        self.timer = 0

    def release(self, digest: str, probation: float = 0, **variables: str) -> None:
        self.calls.clear()
        release.release(self.paths, options(digest, variables, watch=WATCH_SECONDS, probation=probation))

    def rollback(self) -> None:
        probation.rollback(self.paths)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProbationServer:
    return ProbationServer(tmp_path, monkeypatch)


@pytest.fixture
def migrated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The deployments whose release phase has run. The release phase of the page "bad" fails."""
    names: list[str] = []

    def run(paths: Paths, deployment: Deployment, folders: Folders, seconds: Phases | None = None) -> None:
        write_files(paths, deployment, folders)
        if "bad" in (paths.releases / deployment.release / "page").read_text():
            raise ReleaseError("the release phase failed")
        names.append(deployment.name)

    monkeypatch.setattr(release_phase, "run", run)
    return names


def release_phase_of(digest: str) -> probation.Preparation:
    return probation.Preparation(Deployment(digest, "s1", {}), processes.Plan(first=True), None)


MIGRATING = "web: gunicorn a:b\nrelease: flask db upgrade\n"


def test_the_first_server_runs_the_release_phase_during_the_preparation_and_not_again(
    server: ProbationServer, migrated: list[str]
):
    digest = server.upload("one", Procfile=MIGRATING)
    probation.prepare(server.paths, digest, release_phase_of(digest))
    name = release_phase_of(digest).deployment.name
    assert migrated == [name]
    plan = processes.Plan(first=True, migrated=True)
    on_probation = options(digest, watch=WATCH_SECONDS, probation=900)
    release.release(server.paths, replace(on_probation, processes=plan))
    assert migrated == [name]
    assert [entry["result"] for entry in history.last_entries(server.paths, 9)] == ["prepared", "on probation"]


def test_the_preparation_runs_no_release_phase_on_other_servers_or_for_an_app_without_one(
    server: ProbationServer, migrated: list[str]
):
    probation.prepare(server.paths, server.upload("one", Procfile=MIGRATING))
    plain = server.upload("two")
    probation.prepare(server.paths, plain, release_phase_of(plain))
    assert migrated == []


def test_each_server_records_the_phases_of_its_preparation_release_confirmation_and_rollback(server: ProbationServer):
    one, two, three = server.upload("one"), server.upload("two"), server.upload("three")
    server.release(one)
    probation.prepare(server.paths, two, release_phase_of(two))
    server.release(two, probation=900)
    server.release(two)
    server.release(three, probation=900)
    server.rollback()
    entries = [(entry["result"], set(entry["phases"])) for entry in history.last_entries(server.paths, 9)][1:]
    switch = {"lock", "space", "unpack", "venv", "start", "check", "switch", "verify", "watch", "drain", "prune"}
    assert entries == [
        ("prepared", {"lock", "space", "unpack", "venv"}),
        ("on probation", switch),
        ("serving", {"lock", "confirm", "drain", "prune"}),
        ("on probation", switch),
        ("rolled back", {"lock", "rollback", "drain", "processes"}),
    ]


def test_a_release_phase_that_fails_during_the_preparation_is_in_the_history_and_leaves_no_files(
    server: ProbationServer, migrated: list[str]
):
    digest = server.upload("bad", Procfile=MIGRATING)
    with pytest.raises(ReleaseError, match="release phase failed"):
        probation.prepare(server.paths, digest, release_phase_of(digest))
    assert [entry["result"] for entry in history.last_entries(server.paths, 9)] == ["failed"]
    folders = [server.paths.releases, server.paths.deployments, server.paths.env_files]
    assert [list(folder.iterdir()) for folder in folders] == [[], [], []]


def test_during_a_probation_the_old_release_keeps_running_and_a_timer_runs(server: ProbationServer):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    assert (server.page(), server.timer, len(server.active)) == ("two", 900, 2)


def test_the_confirmation_drains_the_old_release_and_stops_the_timer_without_another_switch(server: ProbationServer):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.release(two)
    assert server.calls == ["check site", f"drain {one}"]
    assert (server.page(), server.timer, len(server.active)) == ("two", 0, 1)
    server.rollback()
    assert server.page() == "two"


def test_a_rollback_returns_to_the_last_release_that_was_confirmed(server: ProbationServer):
    one, two, three = (server.upload(page) for page in ("one", "two", "three"))
    server.release(one)
    server.release(two, probation=900)
    server.release(three, probation=900)
    server.rollback()
    assert (server.page(), server.timer) == ("one", 0)
    assert [name[:12] for name in server.active] == [one]


def test_a_confirmation_releases_again_if_the_server_has_rolled_back_meanwhile(server: ProbationServer):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.rollback()
    server.release(two)
    assert server.page() == "two"
    assert f"start {two}" in server.calls


def test_a_release_of_the_proven_deployment_during_a_probation_leaves_no_other_running(server: ProbationServer):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.release(one, probation=900)
    assert (server.page(), len(server.active)) == ("one", 1)
    server.release(one)
    assert (server.page(), server.timer) == ("one", 0)


def test_a_rollback_without_a_proven_deployment_drains_the_server_and_then_serves_nothing(server: ProbationServer):
    one = server.upload("one")
    server.release(one, probation=900)
    assert (server.page(), server.timer) == ("one", 900)
    server.rollback()
    assert "one serves for 15 s, draining: True" in server.calls
    assert times.SETTLE_SECONDS == 15
    assert not server.paths.draining.exists()
    assert (server.paths.socket.is_symlink(), server.timer, server.active) == (False, 0, set())
    server.release(one, probation=900)
    server.release(one)
    server.rollback()
    assert (server.page(), server.timer) == ("one", 0)


def test_after_a_reboot_during_the_first_probation_the_server_serves_nothing_until_a_confirmation(
    server: ProbationServer,
):
    one = server.upload("one")
    server.release(one, probation=900)
    server.active.clear()
    resume.resume(server.paths)
    assert (server.paths.socket.is_symlink(), server.timer, server.active) == (False, 0, set())
    server.release(one)
    assert server.page() == "one"


def test_a_run_that_was_killed_during_its_watch_is_watched_again_before_it_is_proven(
    server: ProbationServer, monkeypatch: pytest.MonkeyPatch
):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)

    def die(*_: object) -> str:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(watch, "watch", die)
        patch.setattr(failed_release, "roll_back", lambda *_: "interrupted")
        server.release(two, probation=900)
    assert (server.page(), server.timer) == ("two", 900)
    server.release(two)
    assert "check watch" in server.calls
    assert (server.page(), server.timer) == ("two", 0)


def test_the_history_has_probations_confirmations_and_rollbacks(server: ProbationServer):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.release(two)
    server.release(two)
    server.release(one, probation=900)
    server.rollback()
    assert [entry["result"] for entry in history.last_entries(server.paths, 9)] == [
        "serving", "on probation", "serving", "unchanged", "on probation", "rolled back",
    ]  # fmt: skip


def test_a_reboot_ends_a_probation_and_starts_the_proven_release(server: ProbationServer):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.active.clear()
    resume.resume(server.paths)
    assert server.page() == "one"
    assert [name[:12] for name in server.active] == [one]


def test_the_files_for_a_rollback_are_kept_after_more_than_five_releases_on_probation(server: ProbationServer):
    server.release(server.upload("0"))
    for number in range(1, 8):
        server.release(server.upload(str(number)), probation=900)
    server.active.clear()  # every deployment has crashed
    server.release(server.upload("8"), probation=900)
    server.rollback()
    assert server.page() == "0"


def test_after_a_release_that_fails_on_probation_a_rollback_is_still_possible(server: ProbationServer):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.errors["socket"] = "a fault"
    with pytest.raises(ReleaseError):
        server.release(one, probation=900)
    server.errors.clear()
    server.rollback()
    assert server.page() == "one"
