"""A booted server with one app that tests edit: a web process, workers, a release process, and a job for cron."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from components import artifact, manifest
from components.local import launch
from tests.machine.booted_server import Booted
from tests.settings import settings
from tests.stack import get

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
FILES = {
    "hello.py": WEB,
    "worker.py": WORKER,
    "migrate.py": MIGRATE,
    "job.py": JOB,
    "requirements.txt": "",
    "Procfile": "web: gunicorn hello:app\nrelease: python migrate.py\nworker: python worker.py\n",
}


@dataclass
class Server(Booted):
    """It is released to as the rollout does it; the app is the folder of its settings."""

    variables: dict[str, str] = field(default_factory=lambda: {"COLOUR": "red"})

    @property
    def app(self) -> Path:
        return self.settings.app

    def release(self, first: bool = True) -> tuple[int, str]:
        """The exit status of a release of the app as it is now, and all that it said."""
        packed = artifact.pack(self.app, self.app.parent / "packed")
        path = f"/opt/gantry/incoming/{packed.release}.tar"
        self.local.send(self.spec, packed.path.read_bytes(), f"cat > {path}")
        command = manifest.release_command(packed.release, self.configuration, self.settings)
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

    def workers(self) -> list[str]:
        """The worker processes that run or stop, by unit."""
        listed = self.ssh("systemctl list-units --plain --no-legend 'gantry-process@*' | cut -d ' ' -f 1")
        return sorted(name.removeprefix("gantry-process@").removesuffix(".service") for name in listed.split())

    def notes(self, file: str) -> list[str]:
        return self.ssh(f"sudo cat /var/lib/app/{file}", check=False).splitlines()

    def wait(self, true: Callable[[], bool], what: str, seconds: float = 30) -> None:
        launch.wait_until(true, what, seconds)


def booted(key: Path, folder: Path) -> AbstractContextManager[Server]:
    """A server whose app lies in ``folder``; it is destroyed afterwards."""
    app = folder / "app"
    app.mkdir()
    for name, text in FILES.items():
        (app / name).write_text(text)
    wanted = settings(
        app=app, health_path="/", workers=1, threads=2, processes={"worker": 2},
        release_timeout=5, stop_timeout=STOP_SECONDS,
    )  # fmt: skip
    return Server.while_it_lasts(key, wanted)
