from __future__ import annotations

from pathlib import Path

import pytest

from host import fleet, health, history, processes, release, release_process, systemd, watch, web
from host.errors import ReleaseError
from host.paths import Paths
from tests.unit.host_machine import HEALTH, WATCH_SECONDS, Machine


class Fleet(Machine):
    """A server whose timer is a number of seconds."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(root, monkeypatch)
        self.timer = 0
        monkeypatch.setattr(fleet, "arm", self.arm)
        monkeypatch.setattr(fleet.time, "sleep", self.leave)
        monkeypatch.setattr(systemd, "systemctl", self.disarm)

    def leave(self, seconds: float) -> None:
        """Time passes: it still serves, and tells a balancer to pass it by."""
        self.calls.append(f"{self.page()} leaves for {seconds:.0f} s: {self.paths.leaving.exists()}")

    def arm(self, seconds: int) -> None:
        self.timer = seconds

    def disarm(self, *words: str) -> None:
        assert words[:2] == ("stop", "gantry-revert.timer")
        self.timer = 0

    def release(self, digest: str, probation: int = 0, **variables: str) -> None:
        self.calls.clear()
        request = release.Request(web.Instance(digest, "s1", variables), HEALTH, WATCH_SECONDS, probation)
        release.release(self.paths, request)

    def revert(self) -> None:
        fleet.revert(self.paths)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(tmp_path, monkeypatch)


@pytest.fixture
def migrations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The instances whose release process has run; that of "bad" fails."""
    ran: list[str] = []

    def run(paths: Paths, instance: web.Instance, venv: Path) -> None:
        web.prepare(paths, instance, venv)
        if "bad" in (paths.releases / instance.release / "page").read_text():
            raise ReleaseError("the release process failed")
        ran.append(instance.name)

    monkeypatch.setattr(release_process, "run", run)
    return ran


def first(digest: str) -> fleet.First:
    return fleet.First(web.Instance(digest, "s1", {}), processes.Plan(first=True), None)


MIGRATING = "web: gunicorn a:b\nrelease: flask db upgrade\n"


def test_the_first_server_runs_the_release_process_in_its_preparation_and_not_again(
    server: Fleet, migrations: list[str]
):
    digest = server.upload("one", Procfile=MIGRATING)
    fleet.prepare(server.paths, digest, first(digest))
    name = first(digest).instance.name
    assert migrations == [name]
    plan = processes.Plan(first=True, migrated=True)
    request = release.Request(web.Instance(digest, "s1", {}), HEALTH, WATCH_SECONDS, 900, processes=plan)
    release.release(server.paths, request)
    assert migrations == [name]
    assert [entry["result"] for entry in history.last(server.paths, 9)] == ["prepared", "on probation"]


def test_other_servers_and_apps_without_a_release_process_only_unpack_and_install(server: Fleet, migrations: list[str]):
    fleet.prepare(server.paths, server.upload("one", Procfile=MIGRATING))
    plain = server.upload("two")
    fleet.prepare(server.paths, plain, first(plain))
    assert migrations == history.last(server.paths, 9) == []


def test_a_release_process_that_fails_in_the_preparation_is_in_the_history_and_leaves_nothing(
    server: Fleet, migrations: list[str]
):
    digest = server.upload("bad", Procfile=MIGRATING)
    with pytest.raises(ReleaseError, match="release process failed"):
        fleet.prepare(server.paths, digest, first(digest))
    assert [entry["result"] for entry in history.last(server.paths, 9)] == ["failed"]
    left = [server.paths.releases, server.paths.instances, server.paths.environments]
    assert [list(folder.iterdir()) for folder in left] == [[], [], []]


def test_in_probation_the_one_before_goes_on_running_and_a_timer_too(server: Fleet):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    assert (server.page(), server.timer, len(server.active)) == ("two", 900, 2)


def test_the_confirmation_ends_the_one_before_and_the_timer_without_another_switch(server: Fleet):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.release(two)
    assert server.calls == ["ask site", f"retire {one}"]
    assert (server.page(), server.timer, len(server.active)) == ("two", 0, 1)
    server.revert()
    assert server.page() == "two"


def test_without_a_confirmation_the_server_goes_back_to_the_last_that_had_one(server: Fleet):
    one, two, three = (server.upload(page) for page in ("one", "two", "three"))
    server.release(one)
    server.release(two, probation=900)
    server.release(three, probation=900)
    server.revert()
    assert (server.page(), server.timer) == ("one", 0)
    assert [name[:12] for name in server.active] == [one]


def test_a_confirmation_releases_where_the_server_has_gone_back_meanwhile(server: Fleet):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.revert()
    server.release(two)
    assert server.page() == "two"
    assert f"start {two}" in server.calls


def test_a_return_to_the_proven_one_during_a_probation_leaves_no_other_running(server: Fleet):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.release(one, probation=900)
    assert (server.page(), len(server.active)) == ("one", 1)
    server.release(one)
    assert (server.page(), server.timer) == ("one", 0)


def test_a_server_that_has_proven_none_serves_none_when_the_others_go_back(server: Fleet):
    one = server.upload("one")
    server.release(one, probation=900)
    assert (server.page(), server.timer) == ("one", 900)
    server.revert()
    assert "one leaves for 15 s: True" in server.calls
    assert not server.paths.leaving.exists()
    assert (server.paths.socket.is_symlink(), server.timer, server.active) == (False, 0, set())
    server.release(one, probation=900)
    server.release(one)
    server.revert()
    assert (server.page(), server.timer) == ("one", 0)


def test_a_start_of_the_machine_during_the_first_probation_serves_none_until_it_is_confirmed(server: Fleet):
    one = server.upload("one")
    server.release(one, probation=900)
    server.active.clear()
    release.resume(server.paths)
    assert (server.paths.socket.is_symlink(), server.timer, server.active) == (False, 0, set())
    server.release(one)
    assert server.page() == "one"


def test_a_run_that_was_killed_during_its_watch_is_watched_again_before_it_counts(
    server: Fleet, monkeypatch: pytest.MonkeyPatch
):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)

    def killed(*_: object) -> str:
        raise SystemExit

    with monkeypatch.context() as during, pytest.raises(SystemExit):
        during.setattr(watch, "watch", killed)
        during.setattr(release, "_go_back", lambda *_: "interrupted")
        server.release(two, probation=900)
    assert (server.page(), server.timer) == ("two", 900)
    server.release(two)
    assert "ask watch" in server.calls
    assert (server.page(), server.timer) == ("two", 0)


def test_the_history_tells_a_probation_its_end_and_a_way_back(server: Fleet):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.release(two)
    server.release(two)
    server.release(one, probation=900)
    server.revert()
    assert [entry["result"] for entry in history.last(server.paths, 9)] == [
        "serving", "on probation", "serving", "unchanged", "on probation", "reverted",
    ]  # fmt: skip


def test_after_a_start_of_the_machine_a_probation_is_over(server: Fleet):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.active.clear()
    release.resume(server.paths)
    assert server.page() == "one"
    assert [name[:12] for name in server.active] == [one]


def test_the_files_of_the_way_back_outlive_five_releases_in_probation(server: Fleet):
    server.release(server.upload("0"))
    for number in range(1, 8):
        server.release(server.upload(str(number)), probation=900)
    server.active.clear()  # whatever ran has crashed
    server.release(server.upload("8"), probation=900)
    server.revert()
    assert server.page() == "0"


def test_a_release_that_fails_in_probation_leaves_the_way_back(server: Fleet, monkeypatch: pytest.MonkeyPatch):
    one, two = server.upload("one"), server.upload("two")
    server.release(one)
    server.release(two, probation=900)
    server.refuse["socket"] = "no such luck"
    with pytest.raises(health.ReleaseError):
        server.release(one, probation=900)
    server.refuse.clear()
    server.revert()
    assert server.page() == "one"
