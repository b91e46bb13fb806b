from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from host import environment, health, history, processes, release, systemd, unpack, watch, web
from host.errors import ReleaseError
from host.paths import Paths

HEALTH = health.Health("/healthz", "rocket.test", timeout=1)
WATCH_SECONDS = 10


class Machine:
    """A server without systemd: instances are names in a set, and what is asked of it is written down."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.active: set[str] = set()
        self.calls: list[str] = []
        self.refuse: dict[str, str] = {}
        self.disk = SimpleNamespace(
            f_bavail=10**6, f_frsize=4096, f_files=10**6, f_favail=10**6, f_bfree=10**6, f_ffree=10**6
        )
        monkeypatch.setattr(watch, "MOVED_SECONDS", 0)
        monkeypatch.setattr(web, "start", self.start)
        monkeypatch.setattr(web, "retire", self.retire)
        monkeypatch.setattr(web, "is_active", lambda name: name in self.active)  # pyright: ignore
        monkeypatch.setattr(web, "running", lambda: sorted(self.active))
        monkeypatch.setattr(web, "discard", self.discard)
        monkeypatch.setattr(web, "dismiss", self.discard)
        monkeypatch.setattr(watch, "watch", lambda *_: self.ask("watch"))  # pyright: ignore
        monkeypatch.setattr(web, "journal", lambda name: "last words")  # pyright: ignore
        monkeypatch.setattr(systemd, "listed", lambda *_: dict[str, str]())  # pyright: ignore
        monkeypatch.setattr(systemd, "systemctl", lambda *words: self.calls.append(" ".join(words)))  # pyright: ignore
        self.paths.venvs.mkdir(parents=True)
        self.paths.gunicorn_settings.parent.mkdir(parents=True)
        self.paths.gunicorn_settings.write_text("workers = 1\n")
        monkeypatch.setattr(environment, "environment", self.install)
        monkeypatch.setattr(health, "check_socket", lambda path, asked: self.ask("socket"))  # pyright: ignore
        monkeypatch.setattr(health, "check_nginx", lambda asked: self.ask("nginx"))  # pyright: ignore
        monkeypatch.setattr(health, "answer", lambda *_: self.ask("site"))  # pyright: ignore
        monkeypatch.setattr(unpack.os, "statvfs", lambda _: self.disk)  # pyright: ignore

    def install(self, paths: Paths, folder: Path) -> tuple[Path, str]:
        """An environment is a folder named by what it holds."""
        self.fail("environment")
        venv = paths.venvs / (folder / "requirements.txt").read_text()
        venv.mkdir(exist_ok=True)
        paths.venv_links.mkdir(exist_ok=True)
        release.files.point(paths.venv_links / folder.name, venv)
        return venv, "installed"

    def start(self, name: str) -> None:
        self.calls.append(f"start {name[:12]}")
        self.fail("start")
        self.active.add(name)

    def retire(self, name: str) -> None:
        self.calls.append(f"retire {name[:12]}")
        self.active.discard(name)

    def discard(self, paths: Paths, name: str) -> None:
        self.calls.append(f"discard {name[:12]}")
        self.active.discard(name)
        web.forget(paths, name)

    def ask(self, where: str) -> str:
        self.calls.append(f"ask {where}")
        self.fail(where)
        return "200"

    def fail(self, step: str) -> None:
        if step in self.refuse:
            raise ReleaseError(self.refuse[step])

    def upload(self, page: str, needs: str = "flask") -> str:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, text in (("Procfile", "web: gunicorn a:b\n"), ("requirements.txt", needs), ("page", page)):
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        digest = hashlib.sha256(stream.getvalue()).hexdigest()[:12]
        self.paths.incoming.mkdir(parents=True, exist_ok=True)
        (self.paths.incoming / f"{digest}.tar").write_bytes(stream.getvalue())
        return digest

    def release(self, digest: str, **variables: str) -> None:
        self.calls.clear()
        release.release(self.paths, release.Request(web.Instance(digest, "s1", variables), HEALTH, WATCH_SECONDS))

    def page(self) -> str:
        """What a visitor would be served: by way of the link that Nginx follows."""
        instance = self.paths.socket.readlink().name.removesuffix(".sock")
        return (self.paths.instances / instance / "app/page").read_text()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_release_is_started_asked_switched_to_and_asked_again_before_the_old_one_is_retired(machine: Machine):
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    machine.release(second)
    assert machine.calls == [f"start {second}", "ask socket", "ask nginx", "ask watch", f"retire {first}"]
    assert machine.page() == "two"


def test_the_release_that_serves_already_is_left_alone(machine: Machine, capsys: pytest.CaptureFixture[str]):
    digest = machine.upload("one")
    machine.release(digest)
    machine.release(digest)
    assert machine.calls == ["ask site"]
    assert "is serving already" in capsys.readouterr().out


def test_a_changed_variable_alone_is_an_instance_of_its_own(machine: Machine):
    digest = machine.upload("one")
    machine.release(digest, COLOUR="red")
    machine.release(digest, COLOUR="blue")
    assert machine.calls == [f"start {digest}", "ask socket", "ask nginx", "ask watch", f"retire {digest}"]


@pytest.mark.parametrize("step", ["environment", "start", "socket", "nginx", "watch"])
def test_whatever_fails_the_old_release_serves_and_the_new_one_is_taken_away(machine: Machine, step: str):
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    machine.refuse[step] = "no such luck"
    with pytest.raises(ReleaseError, match="no such luck"):
        machine.release(second)
    assert machine.page() == "one"
    assert machine.calls[-1] == f"discard {second}"
    assert [path.name for path in machine.paths.releases.iterdir()] == [first]
    assert release.current(machine.paths) == next(iter(machine.active))


@pytest.mark.parametrize("step", ["environment", "start", "socket", "nginx", "watch"])
def test_a_first_release_that_fails_leaves_the_placeholder(machine: Machine, step: str):
    machine.refuse[step] = "no such luck"
    with pytest.raises(ReleaseError):
        machine.release(machine.upload("one"))
    assert not machine.paths.socket.is_symlink()
    assert release.current(machine.paths) is None


def with_processes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prepare", "start"):
        monkeypatch.setattr(processes, name, lambda *_, name=name: machine.ask(f"processes {name}"))  # pyright: ignore
    for name in ("retire", "discard"):
        monkeypatch.setattr(processes, name, lambda *_, name=name: machine.calls.append(f"processes {name}"))  # pyright: ignore


def test_processes_are_prepared_before_the_app_starts_and_started_when_it_serves(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    with_processes(machine, monkeypatch)
    digest = machine.upload("one")
    machine.release(digest)
    asked = ["ask processes prepare", f"start {digest}", "ask socket", "ask nginx"]
    assert machine.calls == [*asked, "ask watch", "ask processes start", "processes retire"]
    machine.release(digest)
    assert machine.calls == ["ask site", "ask processes start", "processes retire"]


@pytest.mark.parametrize("step", ["processes prepare", "processes start"])
def test_processes_that_fail_leave_the_old_release_serving_with_its_own(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, step: str
):
    with_processes(machine, monkeypatch)
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    machine.refuse[step] = "no such luck"
    with pytest.raises(ReleaseError, match="no such luck"):
        machine.release(second)
    assert machine.page() == "one"
    assert machine.calls[-2:] == ["processes discard", f"discard {second}"]
    assert "processes retire" not in machine.calls


def test_an_unhealthy_release_says_its_last_words(machine: Machine):
    machine.refuse["socket"] = "unhealthy"
    with pytest.raises(ReleaseError, match="unhealthy\nlast words"):
        machine.release(machine.upload("one"))


@pytest.mark.parametrize("killed_after", ["unpack", "start", "first link", "second link", "verify"])
def test_a_run_that_was_killed_anywhere_is_made_good_by_the_next(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, killed_after: str
):
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    with monkeypatch.context() as patch:
        die_after(patch, killed_after)
        with pytest.raises(SystemError):
            machine.release(second)
    machine.release(second)
    assert machine.page() == "two"
    assert len(machine.active) == 1


def die_after(patch: pytest.MonkeyPatch, step: str) -> None:
    """As SIGKILL would: at that point everything ends, the handlers too."""

    def die(*_: object) -> None:
        raise SystemError

    patch.setattr(release, "_take_away", die)
    patch.setattr(release, "_go_back", die)
    if step == "unpack":
        patch.setattr(environment, "environment", die)
    elif step == "start":
        patch.setattr(health, "check_socket", die)
    elif step == "verify":
        patch.setattr(watch, "watch", die)
    else:
        point, links = release.files.point, 0

        def count(link: Path, target: Path | str) -> None:
            nonlocal links
            point(link, target)
            links += link.name in ("web.sock", "current")
            if links == (1 if step == "first link" else 2):
                raise SystemError

        patch.setattr(release.files, "point", count)


def test_an_upload_that_was_cut_off_is_refused_by_its_digest(machine: Machine):
    digest = machine.upload("one")
    with (machine.paths.incoming / f"{digest}.tar").open("r+b") as stream:
        stream.truncate(1024)
    with pytest.raises(ReleaseError, match="cut off or changed"):
        machine.release(digest)
    assert not (machine.paths.releases / digest).exists()


def test_a_release_that_was_never_uploaded_is_named(machine: Machine):
    with pytest.raises(ReleaseError, match="cafe00000000 is neither kept"):
        machine.release("cafe00000000")


def test_five_releases_are_kept_and_one_that_was_rolled_back_to_counts_as_new(machine: Machine):
    digests: list[str] = []
    for age in range(5):
        digests.append(digest := machine.upload(str(age)))
        machine.release(digest)
        os.utime(machine.paths.releases / digest, (1000 + age, 1000 + age))
    machine.release(digests[0])
    digests.append(machine.upload("5"))
    machine.release(digests[5])
    kept = {path.name for path in machine.paths.releases.iterdir()}
    assert kept == {digests[0], *digests[2:]}
    assert [path.name for path in machine.paths.instances.iterdir()] == list(machine.active)
    assert not list(machine.paths.incoming.iterdir())


def test_the_packages_of_kept_releases_stay_and_those_of_others_go(machine: Machine):
    digests: list[str] = []
    for age in range(6):
        digests.append(digest := machine.upload(str(age), needs=f"flask=={age}"))
        machine.release(digest)
        os.utime(machine.paths.releases / digest, (1000 + age, 1000 + age))
    digests.append(machine.upload("6", needs="flask==6"))
    machine.release(digests[6])
    assert {path.name for path in machine.paths.venvs.iterdir()} == {f"flask=={number}" for number in range(2, 7)}
    assert {path.name for path in machine.paths.venv_links.iterdir()} == set(digests[2:])


def test_an_instance_that_still_finishes_requests_keeps_its_packages_whatever_they_would_be_called_now(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    machine.release(machine.upload("one", needs="flask==1"))
    old = next(iter(machine.active))
    (machine.paths.venv_links / old.partition("-")[0]).unlink()
    monkeypatch.setattr(web, "retire", lambda name: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    machine.release(machine.upload("two", needs="flask==2"))
    assert {path.name for path in machine.paths.venvs.iterdir()} == {"flask==1", "flask==2"}


def test_what_a_killed_removal_left_is_no_release_and_is_cleared(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    digests: list[str] = []
    for age in range(5):
        digests.append(digest := machine.upload(str(age)))
        machine.release(digest)
        os.utime(machine.paths.releases / digest, (1000 + age, 1000 + age))
    digests.append(machine.upload("5"))

    def killed_while_removing(folder: Path, **_: object) -> None:
        if folder.parent == machine.paths.releases and "partial" not in folder.name:
            raise SystemError

    with monkeypatch.context() as patch:
        patch.setattr(release.files.shutil, "rmtree", killed_while_removing)
        with pytest.raises(SystemError):
            machine.release(digests[5])
    assert not (machine.paths.releases / digests[0]).exists()
    machine.release(digests[5])
    assert not list(machine.paths.releases.glob(".*"))


def test_a_failed_change_of_a_variable_leaves_the_code_of_the_serving_release(machine: Machine):
    digest = machine.upload("one")
    machine.release(digest)
    machine.upload("one")  # as after a run that was killed before it pruned
    machine.refuse["socket"] = "unhealthy"
    with pytest.raises(ReleaseError):
        machine.release(digest, COLOUR="blue")
    assert machine.page() == "one"


def test_the_upload_of_a_failed_release_stays_for_the_next_try_and_goes_once_it_is_old(machine: Machine):
    machine.refuse["start"] = "no such luck"
    failed: list[str] = []
    for age in range(11):
        failed.append(digest := machine.upload(str(age)))
        os.utime(machine.paths.incoming / f"{digest}.tar", (1000 + age, 1000 + age))
        with pytest.raises(ReleaseError):
            machine.release(digest)
    machine.refuse.clear()
    machine.release(machine.upload("good"))
    assert {path.stem for path in machine.paths.incoming.iterdir()} == set(failed[2:])


def test_an_instance_keeps_the_settings_of_gunicorn_that_it_was_tried_with(machine: Machine):
    machine.release(machine.upload("one"))
    machine.paths.gunicorn_settings.write_text("workers = 9\n")
    kept = machine.paths.instances / next(iter(machine.active)) / "gunicorn.conf.py"
    assert kept.read_text() == "workers = 1\n"


def test_an_older_host_program_is_removed_and_the_configured_one_stays(machine: Machine):
    digest = machine.upload("one")
    for name in ("host-old.pyz", "host-new.pyz"):
        (machine.paths.incoming / name).touch()
    machine.paths.program.symlink_to(machine.paths.incoming / "host-new.pyz")
    machine.release(digest)
    assert [path.name for path in machine.paths.incoming.iterdir()] == ["host-new.pyz"]


def test_after_a_reboot_the_current_release_is_started(machine: Machine):
    digest = machine.upload("one")
    machine.release(digest)
    machine.active.clear()
    machine.calls.clear()
    machine.paths.socket.unlink()
    machine.paths.socket.symlink_to("/run/gantry/another.sock")  # killed between the two links
    release.resume(machine.paths)
    assert machine.calls == [f"start {digest}"]
    assert machine.page() == "one"


def test_one_whose_watch_was_killed_is_watched_again_and_taken_back_when_it_is_bad(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    with monkeypatch.context() as patch:
        die_after(patch, "verify")
        with pytest.raises(SystemError):
            machine.release(second)
    assert machine.page() == "two"
    machine.refuse["watch"] = "it turned bad"
    with pytest.raises(ReleaseError, match="it turned bad\nlast words\nwhat served before serves again"):
        machine.release(second)
    assert machine.page() == "one"
    assert "retire" not in " ".join(machine.calls)


def test_a_reboot_during_a_watch_goes_back_to_what_was_proven(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    machine.release(machine.upload("one"))
    with monkeypatch.context() as patch:
        die_after(patch, "verify")
        with pytest.raises(SystemError):
            machine.release(machine.upload("two"))
    machine.active.clear()
    release.resume(machine.paths)
    assert machine.page() == "one"


def test_when_the_old_release_does_not_start_any_more_the_new_one_stays(machine: Machine):
    machine.release(machine.upload("one"))
    machine.refuse["watch"] = "it turned bad"
    start = machine.start

    def refuse_the_old(name: str) -> None:
        machine.refuse.update({"start": "gone"} if "ask watch" in machine.calls else {})
        start(name)

    machine.start = refuse_the_old
    web.start = refuse_the_old
    with pytest.raises(ReleaseError, match="the new release still serves"):
        machine.release(machine.upload("two"))
    assert machine.page() == "two"


def test_without_a_watch_none_is_made(machine: Machine):
    digest = machine.upload("one")
    machine.calls.clear()
    release.release(machine.paths, release.Request(web.Instance(digest, "s1", {}), HEALTH))
    assert machine.calls == [f"start {digest}", "ask socket", "ask nginx"]


def test_the_code_of_a_serving_release_stays_when_it_fails_with_other_variables(machine: Machine):
    digest = machine.upload("one")
    machine.release(digest)
    machine.upload("one")
    machine.refuse["socket"] = "unhealthy"
    with pytest.raises(ReleaseError):
        machine.release(digest, COLOUR="blue")
    assert machine.page() == "one"


def test_without_room_a_release_is_refused_before_anything_is_touched(machine: Machine):
    machine.disk.f_bavail = 10
    digest = machine.upload("one")
    with pytest.raises(ReleaseError, match=r"needs 130 MB and \d+ files, .* nothing was changed"):
        machine.release(digest)
    assert not list(machine.paths.releases.iterdir()) if machine.paths.releases.exists() else True
    assert machine.calls == []


def test_without_inodes_a_release_is_refused_and_where_none_are_counted_it_is_not(machine: Machine):
    machine.disk.f_favail = 10
    digest = machine.upload("one")
    with pytest.raises(ReleaseError, match="10 files free"):
        machine.release(digest)
    machine.disk.f_files = machine.disk.f_favail = 0
    machine.release(digest)


def test_packages_that_a_kept_release_has_need_no_room(machine: Machine):
    machine.release(machine.upload("one"))
    machine.disk.f_bavail = 20_000_000 // 4096
    machine.release(machine.upload("two"))
    with pytest.raises(ReleaseError, match="no room"):
        machine.release(machine.upload("three", needs="django"))


def test_the_history_says_how_each_release_ended_and_why(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    first, second = machine.upload("one"), machine.upload("two")
    machine.release(first)
    machine.release(first)
    for step in ("socket", "watch"):
        machine.refuse = {step: f"{step} is bad"}
        with pytest.raises(ReleaseError):
            machine.release(second)
    machine.refuse = {}
    with monkeypatch.context() as patch:
        die_after(patch, "start")
        patch.setattr(history, "_append", lambda *_: None)  # pyright: ignore
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # pyright: ignore
        with pytest.raises(SystemError):
            machine.release(second)
    machine.release(second)
    found = history.last(machine.paths, 10)
    assert [(entry["result"], entry["reason"]) for entry in found] == [
        ("serving", None),
        ("unchanged", None),
        ("failed", "socket is bad"),
        ("reverted", "watch is bad"),
        ("interrupted", None),
        ("serving", None),
    ]
    phases = ["space", "unpack", "environment", "start", "check", "switch", "verify", "watch", "prune"]
    assert list(found[0]["phases"]) == phases
