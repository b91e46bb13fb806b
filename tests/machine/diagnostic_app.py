"""A booted server of ours, driven over SSH without the engine: what Pulumi would send, sent by hand."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

import pulumi

from components import artifact, manifest, settings
from tests.machine.booted_server import Booted
from tests.stack import get

ROOT = Path(__file__).resolve().parents[2]


class Server(Booted):
    """``release`` answers what `gantry release` said, also when it failed."""

    @property
    def url(self) -> str:
        return f"http://{self.spec.address}/"

    def script(self, text: str) -> str:
        """What a script says that root's shell reads from standard input: sudo writes command lines down."""
        return self.local.send(self.spec, text.encode(), "sudo sh")

    def upload(self, app: Path) -> str:
        """Pack and send an app; returns its release."""
        with tempfile.TemporaryDirectory() as folder:
            packed = artifact.pack(app, Path(folder))
            target = f"/opt/gantry/incoming/{packed.release}.tar"
            self.local.send(self.spec, packed.path.read_bytes(), f"cat > {target}")
        return packed.release

    def release(self, release: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = manifest.release_command(release, self.configuration, self.settings)
        given = manifest.release_input(variables, release, "test")
        words = [*self.local.ssh_command(self.spec), command]
        return subprocess.run(words, input=given, capture_output=True, text=True, timeout=300)

    def serve(self, release: str, **variables: str) -> str:
        """Release, and fail the test if that fails."""
        done = self.release(release, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, release: str, **variables: str) -> str:
        """Release, and fail the test if that succeeds; returns the error."""
        done = self.release(release, **variables)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def page(self, path: str = "") -> str:
        answer = get(self.url + path)
        assert answer.status == 200, answer
        return answer.text

    def kept(self) -> set[str]:
        """The releases on its disk."""
        return set(self.ssh("ls /opt/gantry/releases").split())


def booted(key: Path) -> AbstractContextManager[Server]:
    """A server that is ready for its first release, and is destroyed afterwards."""
    return Server.while_it_lasts(key, defaults())


def defaults() -> settings.Settings:
    """The settings of a stack that sets none, but for the watch, which other tests are about."""
    pulumi.runtime.set_all_config({"gantry:watch": "0"}, [])
    return settings.read(ROOT, pulumi.Config("gantry"))


def write(folder: Path, **files: str) -> Path:
    """An app that shows its packages at /packages and its variables at /; names are given with _ for a dot."""
    folder.mkdir()
    (folder / "Procfile").write_text("web: gunicorn app:app\n")
    (folder / "app.py").write_text(APP)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return folder


APP = """
import importlib.metadata
import json
import os

PAGE = "one"


def app(environ, start_response):
    answers = {
        "/": lambda: PAGE,
        "/packages": lambda: {each.name: each.version for each in importlib.metadata.distributions()},
        "/variables": lambda: dict(os.environ),
    }
    body = json.dumps(answers[environ["PATH_INFO"]]()).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""
