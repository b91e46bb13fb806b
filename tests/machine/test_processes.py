"""Workers, cron and migrations beside web, on one machine. The tests run in their order, on one app that they edit."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from components import artifact, manifest
from components.local import launch, machine
from components.settings import Settings
from host.cron import Entry
from tests.machine.conftest import Local
from tests.stack import get

pytestmark = pytest.mark.machine

STOP_SECONDS = 20
WEB = 'import os\n\n\ndef app(environ, start):\n    start("200 OK", [])\n    return [os.environ["RELEASE"].encode()]\n'
# A worker that notes what it does and, told to stop, takes two seconds to finish.
WORKER = """
import os, signal, sys, time

def note(text):
    with open("/var/lib/app/worker", "a") as file:
        print(os.environ["RELEASE"], os.getpid(), text, file=file)

def stop(*_):
    note("stopping")
    time.sleep(2)
    note("finished")
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
while True:
    note("beat")
    time.sleep(0.2)
"""
MIGRATE = """
import os

print("migrating as", os.environ["USER"], "with", os.environ["COLOUR"])
with open("/var/lib/app/migrations", "a") as file:
    print(os.environ["RELEASE"], os.getcwd(), file=file)
"""
JOB = """
import os, time

def note(text):
    with open("/var/lib/app/job", "a") as file:
        print(os.environ["RELEASE"], text, file=file)

note("begin")
time.sleep(2.5)
note("end")
"""


@dataclass
class Server:
    """A machine that is released to as the rollout does it, over SSH."""

    local: Local
    spec: machine.Spec
    app: Path
    settings: Settings
    variables: dict[str, str] = field(default_factory=lambda: {"COLOUR": "red"})

    def ssh(self, command: str, *, check: bool = True) -> str:
        return self.local.ssh(self.spec, command, check=check)

    def configure(self) -> None:
        program = manifest.host_program()
        self.local.send(self.spec, program.content, f"cat > {program.path}")
        document = manifest.configuration(self.settings, program.path).document()
        self.local.send(self.spec, document.encode(), f"sudo python3 -I {program.path} configure")

    def release(self, first: bool = True) -> tuple[int, str]:
        """The exit status of a release of the app as it is now, and all that it said."""
        packed = artifact.pack(self.app, self.app.parent / "packed")
        path = f"/opt/gantry/incoming/{packed.release}.tar"
        self.local.send(self.spec, packed.path.read_bytes(), f"cat > {path}")
        configuration = manifest.configuration(self.settings, manifest.host_program().path)
        command = manifest.release_command(packed.release, configuration, self.settings)
        given = manifest.release_input(self.variables, packed.release, "test")
        words = [*self.local.ssh_command(self.spec), f"{command}{' --first' if first else ''} 2>&1"]
        done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout

    def released(self, first: bool = True) -> str:
        status, said = self.release(first)
        assert status == 0, said
        return said

    def digest(self) -> str:
        return hashlib.sha256(artifact.tarball(self.app)).hexdigest()[:12]

    def edit(self, name: str, text: str) -> None:
        (self.app / name).write_text(text)

    def page(self) -> str:
        return get(f"http://{self.spec.address}/").text

    def answers(self, page: str) -> bool:
        try:
            return self.page() == page
        except OSError:
            return False

    def boot(self) -> str:
        return self.ssh("cat /proc/sys/kernel/random/boot_id; systemctl show --property=UserspaceTimestamp")

    def workers(self) -> list[str]:
        """The worker processes that run or stop, by unit."""
        listed = self.ssh("systemctl list-units --plain --no-legend 'gantry-process@*' | cut -d ' ' -f 1")
        return sorted(name.removeprefix("gantry-process@").removesuffix(".service") for name in listed.split())

    def notes(self, file: str) -> list[str]:
        return self.ssh(f"sudo cat /var/lib/app/{file}", check=False).splitlines()

    def wait(self, true: Callable[[], bool], what: str, seconds: float = 30) -> None:
        launch.wait_until(true, what, seconds)


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("processes")
    app = folder / "app"
    app.mkdir()
    files = {"hello.py": WEB, "worker.py": WORKER, "migrate.py": MIGRATE, "job.py": JOB, "requirements.txt": ""}
    files["Procfile"] = "web: gunicorn hello:app\nrelease: python migrate.py\nworker: python worker.py\n"
    for name, text in files.items():
        (app / name).write_text(text)
    settings = Settings(
        target="local", app=app, domain=None, health_path="/", health_status=None,
        health_timeout=30, watch=0, workers=1, threads=2, network=None, release=None, env={},
        processes={"worker": 2}, cron=(), release_timeout=5, stop_timeout=STOP_SECONDS,
    )  # fmt: skip
    made = Local(key=ssh_key)
    host_key = folder / "host_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True)
    public, private = (path.read_text() for path in (host_key.with_suffix(".pub"), host_key))
    data = manifest.user_data("web-0", ssh_key.with_suffix(".pub").read_text().strip(), private, public.strip())
    try:
        id, network = made.new_id(), made.network()
        spec = machine.create(id=id, owner=made.name, network=network.id, hostname="web-0", user_data=data.encode())
        server = Server(made, spec, app, settings)
        server.ssh(manifest.READY_COMMAND)
        server.configure()
        yield server
    finally:
        made.destroy()


def test_a_release_migrates_first_and_runs_as_many_workers_as_are_wanted(server: Server):
    said = server.released()
    release = server.digest()
    assert "  migrating as app with red\n" in said
    assert said.index("migrating") < said.index("\nstart ")
    assert "migrating as app" in server.ssh("sudo journalctl --no-pager --unit 'gantry-release@*'")
    assert server.page() == release
    instance = json.loads(server.ssh("sudo gantry status --json"))["instance"]
    assert server.workers() == [f"{instance}-worker-1", f"{instance}-worker-2"]
    assert {note.split()[0] for note in server.notes("worker")} == {release}


def test_the_same_release_again_migrates_nothing_and_leaves_the_workers_alone(server: Server):
    before = {note.split()[1] for note in server.notes("worker")}
    said = server.released()
    assert "0 started" in said
    assert len(server.notes("migrations")) == 1
    assert {note.split()[1] for note in server.notes("worker")} == before


def test_a_new_release_moves_the_workers_after_the_switch_and_the_old_finish_their_job(server: Server):
    old, olds = server.digest(), server.workers()
    server.edit("hello.py", WEB + "# new\n")
    server.released()
    new = server.digest()
    assert set(server.workers()) > set(olds), "the old ones are still finishing their job"
    server.wait(lambda: len(server.workers()) == 2, "the old workers to end")
    assert not set(server.workers()) & set(olds)
    notes = [(note.split()[0], note.split()[2]) for note in server.notes("worker")]
    assert notes.count((old, "stopping")) == notes.count((old, "finished")) == 2
    assert notes[-1] == (new, "beat")
    assert [note.split()[0] for note in server.notes("migrations")] == [old, new]


def test_another_count_alone_is_applied_without_a_switch(server: Server):
    web, before = server.ssh("systemctl list-units --plain --no-legend 'gantry-web@*'"), server.workers()
    for count in (3, 0, 2):
        server.settings = replace(server.settings, processes={"worker": count})
        assert "serving already" in server.released()
        server.wait(lambda count=count: len(server.workers()) == count, f"{count} workers")
    assert server.workers() == before
    assert server.ssh("systemctl list-units --plain --no-legend 'gantry-web@*'") == web


def test_a_failing_migration_fails_the_release_before_anything_is_switched(server: Server):
    page, workers = server.page(), server.workers()
    server.edit("migrate.py", 'print("half way", flush=True)\nraise SystemExit("no such table")\n')
    status, said = server.release()
    assert status == 1
    assert "  half way\n" in said
    assert "the release process failed with exit status 1: python migrate.py" in said
    assert "no such table" in said
    assert "\nstart " not in said
    assert (server.page(), server.workers()) == (page, workers)


def test_a_migration_that_hangs_is_ended_when_its_time_is_up(server: Server):
    server.edit("migrate.py", "import time\nprint('waiting for a lock', flush=True)\ntime.sleep(1000)\n")
    start = time.monotonic()
    status, said = server.release()
    assert status == 1
    assert "took longer than the setting releaseTimeout allows" in said
    assert "waiting for a lock" in said
    assert 5 <= time.monotonic() - start < 20


def test_only_the_first_server_migrates(server: Server):
    before = server.notes("migrations")
    assert "waiting for a lock" not in server.released(first=False)
    assert server.notes("migrations") == before
    assert server.page() == server.digest()
    server.edit("migrate.py", MIGRATE)


def test_a_worker_that_does_not_start_fails_the_release_and_the_old_one_goes_on(server: Server):
    server.released()
    server.wait(lambda: len(server.workers()) == 2, "the old workers to end")
    page, workers = server.page(), server.workers()
    server.edit("worker.py", "import no_such_module\n")
    status, said = server.release()
    assert status == 1
    assert "worker.1 doesn't stay up:" in said
    assert "No module named 'no_such_module'" in said
    assert (server.page(), server.workers()) == (page, workers)
    assert server.ssh("systemctl --failed --no-legend --plain") == ""
    server.edit("worker.py", WORKER)


def test_a_worker_that_crashes_comes_back(server: Server):
    server.ssh(f"sudo systemctl kill --signal=SIGKILL gantry-process@{server.workers()[0]}.service")
    count = "systemctl list-units --plain --no-legend --state=active 'gantry-process@*' | wc -l"
    server.wait(lambda: server.ssh(count) == "2", "the worker to come back")


def test_a_worker_is_confined_like_web_and_has_no_socket(server: Server):
    def properties(unit: str) -> set[str]:
        names = "User,UMask,NoNewPrivileges,ProtectSystem,PrivateTmp,CapabilityBoundingSet,SystemCallFilter"
        return set(server.ssh(f"systemctl show {unit} --property={names}").splitlines())

    instance = json.loads(server.ssh("sudo gantry status --json"))["instance"]
    worker = properties(f"gantry-process@{instance}-worker-1")
    assert "User=app" in worker
    assert worker == properties(f"gantry-web@{instance}") == properties(f"gantry-release@{instance}")
    assert len(server.ssh("sudo ls /run/gantry").split()) == 1


def test_cron_runs_on_time_and_never_twice_at_once_also_across_a_release(server: Server):
    server.settings = replace(server.settings, cron=(Entry("*:*:*", "python job.py"),))
    assert "1 timers" in server.released()
    old = server.digest()
    server.wait(lambda: len(server.notes("job")) >= 3, "the second run to begin")
    server.edit("hello.py", WEB + "# newer\n")
    server.released()
    server.wait(lambda: f"{server.digest()} end" in server.notes("job"), "a run on the new release to end")
    notes = [note.split() for note in server.notes("job")]
    for begin, end in zip(notes[::2], notes[1::2], strict=False):
        assert (begin[1], end[1]) == ("begin", "end"), notes
        assert begin[0] == end[0], "a run was of two releases"
    assert notes == sorted(notes, key=lambda note: note[0] != old), "the old release's timer still fires"


def test_cron_is_for_the_first_server_and_ends_when_it_is_no_longer_wanted(server: Server):
    assert server.ssh("ls -d /etc/systemd/system/gantry-cron@*.timer.d | wc -l") == "1"
    server.released(first=False)
    assert server.ssh("systemctl list-timers --no-legend 'gantry-cron@*'") == ""
    assert server.ssh("ls -d /etc/systemd/system/gantry-cron@*.timer.d", check=False) == ""
    server.settings = replace(server.settings, cron=())
    server.edit("app.json", json.dumps({"cron": [{"schedule": "0 3 * * 1-5", "command": "python job.py"}]}))
    server.released()
    assert "03:00:00" in server.ssh("systemctl list-timers --no-legend 'gantry-cron@*'")


def test_a_schedule_that_systemd_cannot_read_fails_the_release_before_anything(server: Server):
    server.edit("app.json", json.dumps({"cron": [{"schedule": "*-*-* 25:00", "command": "python job.py"}]}))
    page = server.page()
    status, said = server.release()
    assert status == 1
    assert "the schedule '*-*-* 25:00' must be five fields of cron" in said
    assert server.page() == page
    (server.app / "app.json").unlink()


def test_a_release_that_is_killed_while_it_migrates_is_made_good_by_the_next(server: Server):
    slow = MIGRATE + '    time.sleep(3)\n    print(os.environ["RELEASE"], "end", file=file)\n'
    server.edit("migrate.py", slow.replace("import os", "import os, time"))
    server.settings = replace(server.settings, release_timeout=20)
    server.configure()
    worked = len(server.notes("migrations"))
    server.ssh("sudo systemd-run --quiet --on-active=1.5 --collect pkill -KILL -f '^/usr/bin/python3 -I .*pyz release'")
    status, _ = server.release()
    assert status != 0
    server.released()
    ends = [note for note in server.notes("migrations")[worked:] if note.endswith(" end")]
    assert len(ends) in (1, 2)
    server.wait(lambda: len(server.workers()) == 2, "the old workers to end")


def test_after_a_reboot_the_workers_and_timers_are_back(server: Server):
    server.edit("app.json", json.dumps({"cron": [{"schedule": "0 3 * * *", "command": "python job.py"}]}))
    server.released()
    server.wait(lambda: len(server.workers()) == 2, "the old workers to end")
    page, workers, boot = server.page(), server.workers(), server.boot()
    server.ssh("sudo systemctl reboot", check=False)
    server.wait(lambda: server.answers(page) and server.boot() != boot, "the page to return", 90)
    server.wait(lambda: server.workers() == workers, "the workers to return")
    assert "03:00:00" in server.ssh("systemctl list-timers --no-legend 'gantry-cron@*'")


def test_nothing_is_left_of_processes_that_are_gone(server: Server):
    server.edit("Procfile", "web: gunicorn hello:app\n")
    (server.app / "app.json").unlink()
    server.settings = replace(server.settings, processes={})
    server.released()
    server.wait(lambda: server.workers() == [], "the workers to end")
    server.released()
    assert server.ssh("ls /opt/gantry/processes") == ""
    assert server.ssh("ls -d /etc/systemd/system/gantry-cron@*.timer.d", check=False) == ""
