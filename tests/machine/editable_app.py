"""An app for tests to edit, and a server to release it to.

The app has a web process, workers, a release phase and a script for a cron job.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from components.server import commands
from components.settings.common import Settings
from tests.machine.booted_server import BootedServer, release_of
from tests.packed_app import packed
from tests.stack import get
from tests.stack_settings import make_settings

STOP_SECONDS = 20
WEB = 'import os\n\n\ndef app(environ, start):\n    start("200 OK", [])\n    return [os.environ["RELEASE"].encode()]\n'
# A worker that logs what it does. After SIGTERM it takes two seconds to finish.
WORKER = """
import os, signal, sys, time

def log(event):
    with open("/var/lib/app/worker", "a") as file:
        print(os.environ["RELEASE"], os.getpid(), event, file=file)

def stop(*_):
    log("stopping")
    time.sleep(2)
    log("finished")
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
while True:
    log("beat")
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

def log(event):
    with open("/var/lib/app/job", "a") as file:
        print(os.environ["RELEASE"], event, file=file)

log("begin")
time.sleep(2.5)
log("end")
"""
FILES = {
    "hello.py": WEB,
    "worker.py": WORKER,
    "migrate.py": MIGRATE,
    "job.py": JOB,
    "requirements.txt": "",
    # A shell waits for the worker, as in many scripts.
    "Procfile": "web: gunicorn hello:app\nrelease: python migrate.py\nworker: python worker.py; exit $?\n",
}


@dataclass
class EditableAppServer(BootedServer):
    """Releases the app as it is at that moment. The app's folder is that of the settings."""

    variables: dict[str, str] = field(default_factory=lambda: {"COLOUR": "red"})

    @classmethod
    def first_settings(cls, folder: Path) -> Settings:
        app = folder / "app"
        app.mkdir()
        for name, text in FILES.items():
            (app / name).write_text(text)
        return make_settings(
            app=app, health_path="/", workers=1, threads=2, processes={"worker": 2},
            release_timeout=5, stop_timeout=STOP_SECONDS,
        )  # fmt: skip

    @property
    def app(self) -> Path:
        return self.settings.app

    def edit(self, file: str, text: str) -> None:
        (self.app / file).write_text(text)

    def release_id(self) -> str:
        """The release that the app is at this moment."""
        return release_of(packed(self.app))

    def release(self, first: bool = True) -> str:
        """Release as on the first server or on another one, which must succeed; returns all that was printed."""
        exit_code, output = self.try_release(first)
        assert exit_code == 0, output
        return output

    def failing_release(self) -> str:
        """Release, which must fail and leave the page and the workers as they are; returns all that was printed."""
        before = self.page(), self.workers()
        exit_code, output = self.try_release()
        assert exit_code == 1, output
        assert (self.page(), self.workers()) == before
        return output

    def try_release(self, first: bool = True) -> tuple[int, str]:
        """Release; returns the exit code and all that was printed."""
        release = self.upload(packed(self.app))
        command = f"{self.release_command(release)}{' --first' if first else ''} 2>&1"
        stdin = commands.release_input(self.variables, release=release, stack="test")
        result = subprocess.run(self.ssh_command(command), input=stdin, capture_output=True, text=True, timeout=120)
        return result.returncode, result.stdout

    def page(self) -> str:
        return get(self.url).text

    def shows(self, page: str) -> bool:
        try:
            return self.page() == page
        except OSError:
            return False

    def workers(self) -> list[str]:
        """The worker processes that are running or stopping, named as their units are."""
        units = self.ssh("systemctl list-units --plain --no-legend 'gantry-process@*' | cut -d ' ' -f 1")
        return sorted(name.removeprefix("gantry-process@").removesuffix(".service") for name in units.split())

    def wait_until_workers_are(self, count: int, event: str) -> None:
        self.wait_until(lambda: len(self.workers()) == count, event)

    def log(self, file: str) -> list[str]:
        """The lines that the app has written to one of its files: worker, job or migrations."""
        return self.ssh(f"sudo cat /var/lib/app/{file}", check=False).splitlines()
